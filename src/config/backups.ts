import { resolve } from 'node:path';
import type { WrittenBackups } from './backups-schema.ts';
import { type ScheduleRule, scheduleOf } from './schedule.ts';
import type { ReadSection } from './server.ts';

/** The name under which the control store is backed up. */
export const controlBackup = 'control';

export interface BackupSettings {
  /** Absolute. */
  readonly directory: string;
  /** Endpoints. */
  readonly databases: readonly string[];
  readonly control: boolean;
  /** Undefined: only when asked for. */
  readonly schedule: ScheduleRule | undefined;
  readonly keep: { readonly last: number; readonly forMs: number };
  /** By `pg_dump`, where one is there that is new enough for the server. */
  readonly pgDump: boolean;
  /** The secret that they are encrypted with; undefined: they are not. Looked up when called. */
  key(): string | undefined;
  /** The endpoint on whose server they are restored for the proof. */
  readonly scratch: string | undefined;
}

const daily: ScheduleRule = { jitterMs: 0, missed: 'run_once', cron: '0 3 * * *', timezone: 'UTC' };

/** What is written, with its defaults; undefined: no backups. */
export const backupsOf = (
  written: WrittenBackups | undefined,
  dir: string,
  endpoints: readonly string[],
  read: ReadSection,
  secret: (value: string) => void,
): BackupSettings | undefined => {
  if (written === undefined) return undefined;
  const databases = written.databases ?? [];
  for (const [name, path] of [
    ...databases.map((d, i) => [d, ['databases', i]] as const),
    ...(written.scratch === undefined ? [] : [[written.scratch, ['scratch']] as const]),
  ])
    if (!endpoints.includes(name))
      throw read.wrong(path, `there is no endpoint \`${name}\``, `Endpoints: ${endpoints.join(', ') || 'none'}.`);
  if (databases.includes(controlBackup))
    throw read.wrong(['databases'], '`control` means the control store', 'Give the endpoint another name.');
  const { schedule, keep, key } = written;
  return {
    directory: resolve(dir, written.directory === undefined ? 'backups' : read.text(written.directory, ['directory'])),
    databases: [...new Set(databases)],
    control: written.control === undefined ? true : read.flag(written.control, ['control']),
    schedule:
      schedule === false
        ? undefined
        : schedule === undefined
          ? daily
          : scheduleOf(schedule, {
              duration: (value, at) => read.duration(value, ['schedule', at]),
              wrong: (at, what, hint) =>
                read.wrong(['schedule', ...(at === undefined ? [] : [at])], what, hint) as Error,
            }),
    pgDump: written.pg_dump === undefined ? true : read.flag(written.pg_dump, ['pg_dump']),
    keep: {
      last: keep?.last === undefined ? 7 : read.number(keep.last, ['keep', 'last'], 1),
      forMs: keep?.for === undefined ? 0 : read.duration(keep.for, ['keep', 'for']),
    },
    key: () => {
      if (key === undefined) return undefined;
      const found = read.text(key, ['key']);
      secret(found);
      return found;
    },
    scratch: written.scratch,
  };
};
