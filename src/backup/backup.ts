import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { newId, randomSeed } from '../lib/ids.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Dumping, DumpProof, OpenDump, TableSum } from '../model/dump.ts';
import { LockstepError } from '../model/errors.ts';
import {
  type BackupKeys,
  BackupNotReadable,
  type Contents,
  keysOf,
  type Manifest,
  openManifest,
  sealJson,
} from './manifest.ts';
import { type BackupFile, checkStored, readSealed, writeSealed } from './sealed-file.ts';
import { noteDamaged, noteVerified, placeFile, shelve } from './shelf.ts';

const contentsFile = 'contents.json.zst';
const tableFile = (at: number): string => `table-${String(at + 1).padStart(5, '0')}.copy.zst`;

/** Of the database's own tool. */
const archiveFile = 'database.dump.zst';

const one = async function* (bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield bytes;
};

interface Archived {
  readonly file?: BackupFile;
  readonly tool?: string;
  readonly notCarried?: readonly string[];
  /** Why there is none. */
  readonly note?: string;
}

/** The archive of the database's own tool, else why there is none: then the backup is our own. */
const archived = async (
  dump: OpenDump,
  write: (source: AsyncIterable<Buffer>) => Promise<BackupFile>,
  o: Cancel,
): Promise<Archived> => {
  const archive = await dump.archive(o);
  if ('unable' in archive) return { note: archive.unable };
  const { tool, notCarried } = archive;
  try {
    return { file: await write(archive.read(o)), tool, notCarried };
  } catch (error) {
    o.signal.throwIfAborted();
    // What the disk says is no fault of the tool.
    if (!(error instanceof LockstepError) || !['DATABASE', 'PRIVILEGE'].includes(error.code)) throw error;
    return { note: error.message };
  }
};

/** Copies a database into a new folder of `directory`, with digests that the database makes in the same snapshot. */
export const createBackup = (
  dumping: Dumping,
  o: Cancel & {
    readonly directory: string;
    readonly database: string;
    readonly schemas?: readonly string[];
    /** Encrypts it. */
    readonly secret: string | undefined;
    /** By the database's own tool, where there is one that can. */
    readonly native?: boolean;
    readonly clock: Clock;
    /** Of Lockstep. */
    readonly version: string;
    onTable?(name: string): void;
  },
): Promise<Manifest> => {
  const made = o.clock.now();
  const began = o.clock.elapsed();
  const id = newId('b', made);
  return shelve(o.directory, id, made, async (folder) => {
    const salt = randomBytes(16).toString('hex');
    const keys = o.secret === undefined ? undefined : keysOf(o.secret, salt, id);
    const write = (name: string, source: AsyncIterable<Buffer>): Promise<BackupFile> =>
      writeSealed(join(folder, name), name, source, keys?.file(name), o);
    await using dump = await dumping.dump({
      signal: o.signal,
      ...(o.schemas === undefined ? {} : { schemas: o.schemas }),
    });
    const { contents } = dump;
    const seed = BigInt.asIntN(64, randomSeed()).toString();
    const files: BackupFile[] = [];
    const sums: TableSum[] = [];
    const native: Archived = o.native ? await archived(dump, (source) => write(archiveFile, source), o) : {};
    if (native.file !== undefined) files.push(native.file);
    // what it wrote of an archive that is none would stay beside the backup, as large and as readable as that
    else await rm(join(folder, archiveFile), { force: true });
    for (const [i, table] of contents.tables.entries()) {
      o.onTable?.(table.name);
      if (native.file === undefined) files.push(await write(tableFile(i), dump.rows(table, o)));
      sums.push(await dump.sum(table, seed, o));
    }
    const whole: Contents = { dump: contents, proof: { seed, sums } };
    files.unshift(await write(contentsFile, one(Buffer.from(JSON.stringify(whole)))));
    const manifest: Manifest = {
      format: 1,
      id,
      database: o.database,
      made,
      elapsedMs: Math.round(o.clock.elapsed() - began),
      lockstep: o.version,
      server: contents.version,
      tables: contents.tables.length,
      rows: sums.reduce((n, s) => n + s.rows, 0),
      bytes: files.reduce((n, f) => n + f.bytes, 0),
      tool: native.tool ?? 'lockstep',
      ...(native.note === undefined ? {} : { note: native.note }),
      notCarried: native.notCarried ?? contents.notCarried,
      files,
      encryption: keys === undefined ? null : { salt, check: keys.check },
    };
    await placeFile(folder, 'manifest.json', sealJson(manifest, keys));
    return manifest;
  });
};

const fileOf = (manifest: Manifest, folder: string, name: string): BackupFile => {
  const file = manifest.files.find((f) => f.name === name);
  if (file) return file;
  throw new LockstepError('BACKUP', `the backup in ${folder} has no ${name}`);
};

const readContents = async (
  folder: string,
  manifest: Manifest,
  keys: BackupKeys | undefined,
  o: Cancel,
): Promise<Contents> => {
  const parts: Buffer[] = [];
  const file = fileOf(manifest, folder, contentsFile);
  for await (const piece of readSealed(join(folder, contentsFile), file, keys?.file(contentsFile), o))
    parts.push(piece);
  return JSON.parse(Buffer.concat(parts).toString('utf8')) as Contents;
};

/** A backup that was opened: its manifest and contents are what was written. */
export interface OpenBackup {
  readonly manifest: Manifest;
  readonly contents: Contents;
  /** Throws BACKUP unless every file is what was written. */
  check(o: Cancel): Promise<void>;
  /** Into an empty database, compared with what was backed up before anything of it stays. Throws BACKUP, CONFLICT. */
  restore(into: Dumping, o: Cancel): Promise<DumpProof>;
}

/** Opens the backup in a folder. Throws BACKUP when it is damaged or its key is another one. */
export const openBackup = async (folder: string, secret: string | undefined, o: Cancel): Promise<OpenBackup> => {
  const { manifest, keys } = await openManifest(folder, secret);
  if (manifest.id !== basename(folder))
    throw new LockstepError('BACKUP', `the backup in ${folder} is another one, ${manifest.id}`, {
      hint: 'A backup keeps the name of its folder.',
    });
  const contents = await readContents(folder, manifest, keys, o);
  return {
    manifest,
    contents,
    check: async (c) => {
      for (const file of manifest.files) await checkStored(join(folder, file.name), file, c);
    },
    restore: async (into, c) => {
      if (into.restore === undefined)
        throw new LockstepError('NOT_WRITABLE', 'a backup is restored into a database that may be written to', {
          hint: 'Add `writable: true` to the endpoint, or give a URL.',
        });
      const rows = (_table: unknown, at: number): AsyncIterable<Buffer> => {
        const name = tableFile(at);
        return readSealed(join(folder, name), fileOf(manifest, folder, name), keys?.file(name), c);
      };
      const archive = manifest.files.find((f) => f.name === archiveFile);
      if (archive === undefined) await into.restore(contents.dump, rows, contents.proof, c);
      else {
        const source = readSealed(join(folder, archiveFile), archive, keys?.file(archiveFile), c);
        await into.restoreArchive!(contents.dump, source, contents.proof, c);
      }
      return contents.proof;
    },
  };
};

/**
 * Of work that throws BACKUP, notes in the folder what is wrong: from then on it is not listed as verified, nor kept in
 * the place of one that is whole.
 */
export const notingDamage = async <T>(
  folder: string,
  clock: Pick<Clock, 'now'>,
  work: () => Promise<T>,
): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'BACKUP' || error instanceof BackupNotReadable) throw error;
    try {
      await noteDamaged(folder, clock.now(), error);
    } catch (cause) {
      throw new LockstepError('BACKUP', error.message, {
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        details: [...error.details, `It is listed as before, since this cannot be noted: ${(cause as Error).message}`],
        cause,
      });
    }
    throw error;
  }
};

/**
 * Restores a backup into a database of its own, compares, and notes that it holds, or what is wrong with it. `servers`:
 * where that database may be made, the first that allows it.
 */
export const verifyBackup = (
  folder: string,
  secret: string | undefined,
  servers: readonly (() => Promise<Dumping>)[],
  o: Cancel & { readonly clock: Clock },
): Promise<Manifest> => notingDamage(folder, o.clock, () => proved(folder, secret, servers, o));

const proved: typeof verifyBackup = async (folder, secret, servers, o) => {
  const backup = await openBackup(folder, secret, o);
  await backup.check(o);
  let refused: unknown;
  for (const server of servers) {
    try {
      const name = `lockstep_proof_${backup.manifest.id.slice(2)}_${randomBytes(3).toString('hex')}`;
      await using scratch = await (await server()).scratch!(name, backup.contents.dump, o);
      await backup.restore(scratch.dumping, o);
      await noteVerified(folder, o.clock.now());
      return backup.manifest;
    } catch (error) {
      if (!(error instanceof LockstepError && error.code === 'PRIVILEGE')) throw error;
      refused ??= error;
    }
  }
  throw (
    refused ??
    new LockstepError('USAGE', 'there is no server to restore the backup to, which would prove it', {
      hint: 'Name a writable endpoint: backups: { scratch: NAME }.',
    })
  );
};
