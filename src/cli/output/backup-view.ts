import type { Shelved } from '../../backup/shelf.ts';
import { grouped } from '../../lib/grouped.ts';
import type { Out } from '../io.ts';
import { writeList } from './list.ts';
import { utc } from './text.ts';

export const backupJson = ({ id, manifest: m, verified, problem }: Shelved): Record<string, unknown> => ({
  id,
  database: m?.database ?? null,
  made: m === undefined ? null : utc(m.made),
  server: m?.server ?? null,
  tables: m?.tables ?? null,
  rows: m?.rows ?? null,
  bytes: m?.bytes ?? null,
  encrypted: m === undefined ? null : m.encryption !== null,
  tool: m?.tool ?? null,
  note: m?.note ?? null,
  not_carried: m?.notCarried ?? [],
  verified: verified === undefined ? null : utc(verified),
  problem: problem ?? null,
});

const stateOf = (verified: number | undefined, problem: string | undefined): string => {
  if (problem !== undefined) return `damaged: ${problem}`;
  return verified === undefined ? 'not verified' : `verified ${utc(verified)}`;
};

export const backupsTable = async (out: Out, backups: readonly Shelved[], directory: string): Promise<void> => {
  if (backups.length === 0) {
    await out.write(`  no backups in ${directory} yet: lockstep backup create\n`);
    return;
  }
  const head = ['ID', 'DATABASE', 'MADE', 'TABLES', 'ROWS', 'BYTES', 'STATE'];
  const rows = backups.map(({ id, manifest: m, verified, problem }) =>
    m === undefined
      ? [id, '', '', '', '', '', stateOf(verified, problem)]
      : [id, m.database, utc(m.made), grouped(m.tables), grouped(m.rows), grouped(m.bytes), stateOf(verified, problem)],
  );
  await writeList(out, head, rows, (at) => at >= 3 && at <= 5);
};
