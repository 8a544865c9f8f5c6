import { basename } from 'node:path';
import { type Manifest, readManifest } from '../../backup/manifest.ts';
import { dropBackup, findBackup, listBackups } from '../../backup/shelf.ts';
import { controlBackup } from '../../config/backups.ts';
import type { Config } from '../../config/config.ts';
import { count, grouped } from '../../lib/grouped.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import {
  type BackupWorld,
  backupSettings,
  databasesOf,
  madeReport,
  makeBackups,
  mustTakeBackups,
  proveBackup,
  restoreBackup,
} from '../../service/backups.ts';
import { connectSide } from '../../service/connect.ts';
import { notWritable, sideOfEntry } from '../../service/job.ts';
import type { Side } from '../../service/side.ts';
import { audited } from '../../work/audited.ts';
import { newRun, recorded } from '../../work/recorded.ts';
import { configOf } from '../config-of.ts';
import { confirm } from '../confirm.ts';
import { type Command, type Context, type Flags, tell } from '../context.ts';
import { askedBy, controlUrls, openControl } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { backupJson, backupsTable } from '../output/backup-view.ts';
import { jsonText } from '../output/json-text.ts';
import { formatOf } from '../read-flags.ts';
import { sideOfText, warnOfPasswords } from '../side-of-text.ts';

const actions = ['create', 'list', 'verify', 'restore', 'drop'] as const;
type Action = (typeof actions)[number];

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

/** What a command works with. */
interface Work {
  readonly context: Context;
  readonly flags: Flags;
  readonly config: Config;
  readonly world: BackupWorld;
  readonly signal: AbortSignal;
  readonly json: boolean;
}

const worldOf = (context: Context, flags: Flags, config: Config): BackupWorld => ({
  config,
  doors: context,
  clock: context.clock,
  version: context.version,
  open: (name, { signal, writable }) =>
    connectSide(context, sideOfEntry(config, config.endpoints[name]!, writable), signal),
  controlUrls: () => controlUrls(context, flags, config),
});

const create = async (w: Work, what: string): Promise<number> => {
  const { context, config, signal } = w;
  databasesOf(config, what);
  await using store = await openControl(context, w.flags, config, signal);
  const by = askedBy(context);
  const run = newRun('backup', { ...by, clock: context.clock, sync: null, facts: { source: null, target: null } });
  const ended = await audited(store.audit, { ...by, action: 'run.backup', object: `backups/${what}` }, { signal }, () =>
    recorded(store, context.clock, run, { signal }, async () => {
      const made = await makeBackups(w.world, what, { signal });
      return { exit: exitCodes.ok, report: madeReport(made) as unknown as JsonValue };
    }),
  );
  const report = ended.report as unknown as ReturnType<typeof madeReport>;
  if (w.json) await context.out.write(`${jsonText({ run: run.id, ...report })}\n`);
  else
    for (const b of report.backups) {
      const left = b.not_carried.length === 0 ? '' : `; not carried: ${b.not_carried.join(', ')}`;
      const dropped = b.dropped.length === 0 ? '' : `; dropped ${b.dropped.join(', ')}`;
      await context.out.write(
        `  ✓ ${b.database}: ${b.id}, ${count(b.tables, 'table')}, ${count(b.rows, 'row')}, ${grouped(b.bytes)} bytes${b.encrypted ? ', encrypted' : ''}${b.tool === 'lockstep' ? '' : `, by ${b.tool}`}; restored and compared${left}${dropped}\n`,
      );
    }
  return exitCodes.ok;
};

const verify = async (w: Work, id: string): Promise<number> => {
  const { context, config, signal } = w;
  // Its server may be where the backup is restored; an embedded one runs only while somebody uses it.
  await using store = await openControl(context, w.flags, config, signal);
  const what = { ...askedBy(context), action: 'backup.verify', object: `backups/${id}` };
  const manifest = await audited(store.audit, what, { signal }, () => proveBackup(w.world, id, { signal }));
  const left = manifest.notCarried.length === 0 ? '' : `; not carried: ${manifest.notCarried.join(', ')}`;
  await context.out.write(
    w.json
      ? `${jsonText({ schema_version: 1, id: manifest.id, verdict: 'holds', tables: manifest.tables, rows: manifest.rows })}\n`
      : `  ✓ ${manifest.id} holds: ${count(manifest.tables, 'table')}, ${count(manifest.rows, 'row')}, restored and compared${left}\n`,
  );
  return exitCodes.ok;
};

/** A control store is restored when there is none to write into. */
const restoreAudited = async (w: Work, id: string, into: Endpoint): Promise<Manifest> => {
  const { context, config, signal, world } = w;
  const { directory } = backupSettings(config);
  const folder = await findBackup(directory, id);
  const { database } = await readManifest(folder);
  if (database === controlBackup) return restoreBackup(world, id, into, { signal });
  await using store = await openControl(context, w.flags, config, signal);
  const what = {
    ...askedBy(context),
    action: 'backup.restore',
    object: `backups/${basename(folder)}`,
    after: { into: { ...into.fingerprint } } as JsonValue,
  };
  return await audited(store.audit, what, { signal }, () => restoreBackup(world, id, into, { signal }));
};

/** What both sides of two-way pairs agreed on is as old as the backup. Says so. */
const outdateArchives = async ({ context, config, flags, signal }: Work, side: Side): Promise<void> => {
  const at = side.connection();
  const url = typeof at === 'string' ? at : at['url'];
  if (typeof url !== 'string') {
    await tell(context, 'Before you use it: see docs/guide/backups.md, "Two-way syncs".');
    return;
  }
  await using store = await openControl(context, { ...flags, control: url }, config, signal);
  const pairs = await store.archives.outdate({ signal });
  if (pairs > 0)
    await tell(
      context,
      `What ${pairs === 1 ? 'one pair' : `${grouped(pairs)} pairs`} of two-way syncs agreed on is as old as the backup: the next run compares as if it were the first.`,
    );
};

const restore = async (w: Work, id: string, target: string | undefined): Promise<number> => {
  const { context, config, signal } = w;
  if (target === undefined)
    throw usage(
      'lockstep backup restore: into which database?',
      'Write: lockstep backup restore ID URL. It must be there, and empty.',
    );
  const entry = config.endpoints[target];
  if (entry && !entry.writable) throw notWritable(config, entry);
  await warnOfPasswords((text) => tell(context, text), [target]);
  const side: Side = entry ? sideOfEntry(config, entry, true) : sideOfText(context, target, 'target', true);
  await mustTakeBackups(context, side);
  await using into = await connectSide(context, side, signal);
  if (
    !(await confirm(
      context,
      w.flags,
      `Restore ${id} into ${into.name} (${into.fingerprint.address}/${into.fingerprint.database.replace(/^\d+\//, '')})?`,
    ))
  )
    return exitCodes.usage;
  const manifest = await restoreAudited(w, id, into);
  if (manifest.database === controlBackup) await outdateArchives(w, side);
  await context.out.write(
    w.json
      ? `${jsonText({ schema_version: 1, id: manifest.id, database: manifest.database, tables: manifest.tables, rows: manifest.rows })}\n`
      : `  ✓ restored ${manifest.id} (${manifest.database}): ${count(manifest.tables, 'table')}, ${count(manifest.rows, 'row')}, compared with what was backed up\n`,
  );
  return exitCodes.ok;
};

const drop = async (w: Work, given: string): Promise<number> => {
  const { context, config, signal } = w;
  const { directory } = backupSettings(config);
  const id = basename(await findBackup(directory, given));
  const all = await listBackups(directory);
  const it = all.find((b) => b.id === id)!;
  const proved = all.find((b) => b.manifest?.database === it.manifest?.database && b.verified !== undefined);
  const last = proved?.id === id ? ' It is the newest one that is verified.' : '';
  if (!(await confirm(context, w.flags, `Drop the backup ${id} for ever?${last}`))) return exitCodes.usage;
  await using store = await openControl(context, w.flags, config, signal);
  const what = { ...askedBy(context), action: 'backup.drop', object: `backups/${id}` };
  await audited(store.audit, what, { signal }, () => dropBackup(directory, id));
  await context.out.write(w.json ? `${jsonText({ schema_version: 1, dropped: id })}\n` : `  dropped ${id}\n`);
  return exitCodes.ok;
};

/** `lockstep backup create|list|verify|restore|drop` */
export const backup: Command = async (context, [action, what, target], flags) => {
  if (!actions.includes(action as Action))
    throw usage(`lockstep backup ${action}: expected ${actions.join(', ')}`, 'See lockstep backup --help.');
  const json = formatOf(flags, ['table', 'json'] as const, 'backup') === 'json';
  const config = await configOf(context, flags);
  if (config === undefined)
    throw usage(
      'lockstep backup needs a configuration, and there is none here',
      'It says what is backed up, and where to: backups: { … }.',
    );
  const { directory } = backupSettings(config);
  if (action === 'list') {
    const all = await listBackups(directory);
    const found = what === undefined ? all : all.filter((b) => b.manifest?.database === what);
    if (json) await context.out.write(`${jsonText({ schema_version: 1, backups: found.map(backupJson) })}\n`);
    else await backupsTable(context.out, found, directory);
    return exitCodes.ok;
  }
  const signal = AbortSignal.any([context.stop, context.now]);
  const w: Work = { context, flags, config, world: worldOf(context, flags, config), signal, json };
  if (action === 'create') return create(w, what ?? 'all');
  if (what === undefined)
    throw usage(`lockstep backup ${action}: which backup?`, 'Its id stands in: lockstep backup list');
  if (action === 'verify') return verify(w, what);
  return action === 'restore' ? restore(w, what, target) : drop(w, what);
};
