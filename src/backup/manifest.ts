import { createHash, createHmac, hkdfSync, scryptSync, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DumpContents, DumpProof } from '../model/dump.ts';
import { LockstepError } from '../model/errors.ts';
import type { BackupFile } from './sealed-file.ts';

/** What a backup says of itself; readable without its key. */
export interface Manifest {
  readonly format: 1;
  /** e.g. `b_06dq2k8v4m7x3w`; sorts by time. */
  readonly id: string;
  /** The endpoint's name, or `control`. */
  readonly database: string;
  /** Milliseconds since 1970: when it was begun. */
  readonly made: number;
  readonly elapsedMs: number;
  /** The version of Lockstep, and of the server. */
  readonly lockstep: string;
  readonly server: string;
  readonly tables: number;
  readonly rows: number;
  readonly bytes: number;
  /** What made it: `lockstep`, or e.g. `pg_dump 18.4`. */
  readonly tool: string;
  /** Why it is not the database's own tool. */
  readonly note?: string;
  readonly notCarried: readonly string[];
  /** The first one is what the database is made of; then one per table, or the archive of the database's own tool. */
  readonly files: readonly BackupFile[];
  readonly encryption: { readonly salt: string; readonly check: string } | null;
}

/** In the first file: what the database is made of, and the digests of its tables. */
export interface Contents {
  readonly dump: DumpContents;
  readonly proof: DumpProof;
}

/** Keys of one backup. */
export interface BackupKeys {
  /** Of one file of it. */
  file(name: string): Buffer;
  readonly seal: Buffer;
  /** Tells a wrong secret from a damaged file. */
  readonly check: string;
}

/** From the secret: slowly (scrypt), for it may be a phrase. */
export const keysOf = (secret: string, salt: string, id: string): BackupKeys => {
  const master = scryptSync(secret, Buffer.from(salt, 'hex'), 32, { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 });
  const derived = (info: string): Buffer => Buffer.from(hkdfSync('sha256', master, '', `${id} ${info}`, 32));
  return {
    file: (name) => derived(`file ${name}`),
    seal: derived('seal'),
    check: derived('check').toString('hex').slice(0, 16),
  };
};

const digestOf = (text: string, key: Buffer | undefined): string =>
  (key === undefined ? createHash('sha256') : createHmac('sha256', key)).update(text).digest('hex');

/** JSON with a digest of itself, keyed where there is a key. */
export const sealJson = (body: unknown, keys: BackupKeys | undefined): string => {
  const text = JSON.stringify(body);
  return `${JSON.stringify({ body, seal: digestOf(text, keys?.seal) })}\n`;
};

const parsed = (text: string): { readonly body: unknown; readonly seal: string } | undefined => {
  try {
    const found = JSON.parse(text) as { body?: unknown; seal?: unknown } | null;
    return typeof found?.seal === 'string' && found.body != null ? { body: found.body, seal: found.seal } : undefined;
  } catch {
    return undefined;
  }
};

const holds = (read: { readonly body: unknown; readonly seal: string }, key: Buffer | undefined): boolean => {
  const [is, was] = [Buffer.from(digestOf(JSON.stringify(read.body), key)), Buffer.from(read.seal)];
  return is.length === was.length && timingSafeEqual(is, was);
};

const hint = 'Use another backup: lockstep backup list';

const wrong = (folder: string, what: string): LockstepError =>
  new LockstepError('BACKUP', `the backup in ${folder} ${what}`, { hint });

/** A backup that cannot be read with this configuration or by this version: nothing is known to be wrong with it. */
export class BackupNotReadable extends LockstepError {
  constructor(folder: string, what: string) {
    super('BACKUP', `the backup in ${folder} ${what}`, { hint });
  }
}

/** As it is written, its seal not looked at where it takes the key: to show it. Throws BACKUP. */
export const readManifest = async (folder: string): Promise<Manifest> => {
  const text = await readFile(join(folder, 'manifest.json'), 'utf8').catch(() => undefined);
  if (text === undefined) throw wrong(folder, 'has no manifest');
  const read = parsed(text);
  const manifest = read?.body as Manifest | undefined;
  if (read === undefined || manifest === undefined) throw wrong(folder, 'has a manifest that is damaged');
  if (manifest.format !== 1) throw new BackupNotReadable(folder, 'was written by another version of Lockstep');
  if (manifest.encryption === null && !holds(read, undefined)) throw wrong(folder, 'has a manifest that is damaged');
  return manifest;
};

/** The manifest, proved to be what was written, and the keys. Throws BACKUP. */
export const openManifest = async (
  folder: string,
  secret: string | undefined,
): Promise<{ readonly manifest: Manifest; readonly keys: BackupKeys | undefined }> => {
  const manifest = await readManifest(folder);
  const { encryption } = manifest;
  if (encryption === null) return { manifest, keys: undefined };
  if (secret === undefined)
    throw new BackupNotReadable(folder, 'is encrypted, and no key is configured (backups: { key: "${env:…}" })');
  const keys = keysOf(secret, encryption.salt, manifest.id);
  if (keys.check !== encryption.check) throw new BackupNotReadable(folder, 'was encrypted with another key');
  const text = await readFile(join(folder, 'manifest.json'), 'utf8');
  if (!holds(parsed(text)!, keys.seal)) throw wrong(folder, 'has a manifest that was changed');
  return { manifest, keys };
};

/** What the last proof of a backup has shown. */
export interface Verdict {
  /** Milliseconds since 1970: when it was restored and compared; undefined: never, or it was found damaged since. */
  readonly verified: number | undefined;
  /** What was found wrong with it. */
  readonly problem?: string;
}

/** Of the two, an older Lockstep takes `failed` for not verified. */
export type VerdictNote = { readonly at: number } | { readonly failed: number; readonly problem: string };

/** Not verified where there is no note of a proof, or none that is any good. */
export const readVerdict = async (folder: string): Promise<Verdict> => {
  const text = await readFile(join(folder, 'verified.json'), 'utf8').catch(() => undefined);
  const read = text === undefined ? undefined : parsed(text);
  if (read === undefined || !holds(read, undefined)) return { verified: undefined };
  const { at, problem } = read.body as { at?: unknown; problem?: unknown };
  if (typeof problem === 'string') return { verified: undefined, problem };
  return { verified: typeof at === 'number' ? at : undefined };
};
