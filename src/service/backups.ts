import { createBackup, notingDamage, openBackup, verifyBackup } from '../backup/backup.ts';
import { type Manifest, readManifest } from '../backup/manifest.ts';
import { dropBackup, findBackup, listBackups, toDrop } from '../backup/shelf.ts';
import { type BackupSettings, controlBackup } from '../config/backups.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import { timeOfId } from '../lib/ids.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Dumping } from '../model/dump.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Log } from '../telemetry/log.ts';
import { connectSide, type Doors, engineOf } from './connect.ts';
import type { Side } from './side.ts';

/** What making and proving backups needs. */
export interface BackupWorld {
  readonly config: Config;
  readonly doors: Doors;
  readonly clock: Clock;
  /** The version of Lockstep. */
  readonly version: string;
  /** An endpoint of the configuration. */
  open(name: string, o: Cancel & { readonly writable: boolean }): Promise<Endpoint>;
  /** Absent: nothing is logged. */
  readonly log?: Pick<Log, 'info'>;
  /** Addresses of the control store's server: one of them takes writes. */
  controlUrls(): Promise<readonly string[]>;
}

/** What a run made. */
export interface MadeBackup {
  readonly manifest: Manifest;
  /** Ids of older ones that it made superfluous. */
  readonly dropped: readonly string[];
}

/** What is ours in the database of the control store; others may use it, too. */
const controlSchemas = ['lockstep_control', 'lockstep_queue'];

export const backupSettings = (config: Config): BackupSettings => {
  if (config.backups) return config.backups;
  throw new LockstepError('USAGE', `${config.file} has no backups`, {
    hint: 'Add for example: backups: { databases: [NAME], key: "${env:BACKUP_KEY}" }.',
  });
};

/** When the backups were made that were found damaged; a folder that cannot be read tells of none. */
export const damagedBackups = async (config: Config): Promise<readonly number[]> => {
  if (config.backups === undefined) return [];
  const all = await listBackups(config.backups.directory).catch(() => []);
  return all.filter((b) => b.problem !== undefined).map((b) => timeOfId(b.id));
};

/** The databases that a name means: `all`, `control` or an endpoint of `backups.databases`. */
export const databasesOf = (config: Config, name: string): readonly string[] => {
  const { control, databases } = backupSettings(config);
  const known = [...(control ? [controlBackup] : []), ...databases];
  if (name === 'all' && known.length > 0) return known;
  if (known.includes(name)) return [name];
  throw new LockstepError('NOT_FOUND', `${name} is not among the backups of ${config.file}`, {
    hint: `There are: ${known.join(', ') || 'none'}. Others are named in backups: { databases: […] }.`,
  });
};

const dumpingOf = (endpoint: Endpoint): Dumping => {
  if (endpoint.dumping) return endpoint.dumping;
  throw new LockstepError('USAGE', `${endpoint.name}: backups are made of PostgreSQL, not of ${endpoint.engine}`, {
    hint: 'Take it out of backups: { databases: […] }, and use the tools of that database.',
  });
};

/** Throws USAGE for a side that no backup can be restored into; before it is connected, which may make a file. */
export const mustTakeBackups = async (doors: Doors, side: Side): Promise<void> => {
  const { name, dumps } = await engineOf(doors, side);
  if (dumps) return;
  throw new LockstepError('USAGE', `${side.name}: a backup is restored into PostgreSQL, not into ${name}`, {
    side: side.name,
    hint: 'Restore it into an empty database of PostgreSQL; `lockstep copy` goes from there to other databases.',
  });
};

const openControl = async (w: BackupWorld, o: Cancel): Promise<Endpoint> => {
  let failure: unknown;
  for (const url of await w.controlUrls()) {
    const side: Side = {
      name: 'control store',
      writable: true,
      connection: () => url,
      credentials: [],
      where: 'control',
      baseDir: w.config.dir,
    };
    try {
      const endpoint = await connectSide(w.doors, side, o.signal);
      if ((await endpoint.role?.(o))?.standby !== true) return endpoint;
      await endpoint[Symbol.asyncDispose]();
    } catch (error) {
      o.signal.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure ?? new LockstepError('STORE', 'no server of the control store takes writes');
};

const openDatabase = (w: BackupWorld, name: string, o: Cancel & { readonly writable: boolean }): Promise<Endpoint> =>
  name === controlBackup ? openControl(w, o) : w.open(name, o);

/** Restores a backup on a server where that is allowed, and compares. */
const prove = async (w: BackupWorld, folder: string, database: string, o: Cancel): Promise<Manifest> => {
  const { scratch, key } = backupSettings(w.config);
  const own = w.config.endpoints[database]?.writable === true ? [database] : [];
  const names = scratch === undefined ? [...new Set([...own, controlBackup])] : [scratch];
  await using stack = new AsyncDisposableStack();
  const servers = names.map(
    (name) => async () => dumpingOf(stack.use(await openDatabase(w, name, { ...o, writable: true }))),
  );
  return await verifyBackup(folder, key(), servers, { ...o, clock: w.clock });
};

/** Proves a backup that is there. */
export const proveBackup = async (w: BackupWorld, id: string, o: Cancel): Promise<Manifest> => {
  const folder = await findBackup(backupSettings(w.config).directory, id);
  const { database } = await readManifest(folder);
  return prove(w, folder, database, o);
};

/** Restores a backup into an empty database. */
export const restoreBackup = async (w: BackupWorld, id: string, into: Endpoint, o: Cancel): Promise<Manifest> => {
  const { directory, key } = backupSettings(w.config);
  const folder = await findBackup(directory, id);
  const backup = await notingDamage(folder, w.clock, () => openBackup(folder, key(), o));
  try {
    await backup.restore(dumpingOf(into), o);
  } catch (error) {
    // What this server makes of it says nothing of the backup; its bytes do.
    if (error instanceof LockstepError && error.code === 'BACKUP')
      await notingDamage(folder, w.clock, () => backup.check(o));
    throw error;
  }
  return backup.manifest;
};

const makeOne = async (
  w: BackupWorld,
  database: string,
  o: Cancel & { onTable?(name: string): void },
): Promise<MadeBackup> => {
  const settings = backupSettings(w.config);
  await using endpoint = await openDatabase(w, database, { ...o, writable: false });
  const made = await createBackup(dumpingOf(endpoint), {
    ...o,
    directory: settings.directory,
    database,
    ...(database === controlBackup ? { schemas: controlSchemas } : {}),
    secret: settings.key(),
    native: settings.pgDump,
    clock: w.clock,
    version: w.version,
  });
  w.log?.info('backup made', {
    backup: made.id,
    database,
    tool: made.tool,
    ...(made.note === undefined ? {} : { note: made.note }),
  });
  await prove(w, await findBackup(settings.directory, made.id), database, o);
  const all = (await listBackups(settings.directory)).filter((b) => b.manifest?.database === database);
  const dropped: string[] = [];
  for (const { id } of toDrop(all, settings.keep, w.clock.now())) {
    await dropBackup(settings.directory, id);
    dropped.push(id);
  }
  return { manifest: made, dropped };
};

/**
 * Backs databases up, proves each backup, and drops those that need not be kept. One that fails does not keep the others
 * from being made; the first failure is thrown at the end.
 */
export const makeBackups = async (
  w: BackupWorld,
  name: string,
  o: Cancel & { onTable?(name: string): void },
): Promise<readonly MadeBackup[]> => {
  const made: MadeBackup[] = [];
  const failures: unknown[] = [];
  for (const database of databasesOf(w.config, name))
    try {
      made.push(await makeOne(w, database, o));
    } catch (error) {
      o.signal.throwIfAborted();
      failures.push(error);
    }
  if (failures.length > 0) throw failures[0];
  return made;
};

/** As JSON says it. */
export const madeReport = (made: readonly MadeBackup[]) => ({
  schema_version: 1,
  backups: made.map(({ manifest: m, dropped }) => ({
    id: m.id,
    database: m.database,
    tables: m.tables,
    rows: m.rows,
    bytes: m.bytes,
    encrypted: m.encryption !== null,
    tool: m.tool,
    note: m.note ?? null,
    verified: true,
    not_carried: m.notCarried,
    dropped,
  })),
});
