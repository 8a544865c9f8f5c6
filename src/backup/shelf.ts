import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LockstepError } from '../model/errors.ts';
import { type Manifest, readManifest, readVerdict, sealJson, type Verdict, type VerdictNote } from './manifest.ts';

/** One backup of a folder of backups. */
export interface Shelved extends Verdict {
  readonly id: string;
  /** Undefined: it cannot be read; `problem` says why. One that can be may have a `problem`, too. */
  readonly manifest: Manifest | undefined;
}

const isId = (name: string): boolean => /^b_[0-9a-z]{17}$/.test(name);
/** What a process that died left unfinished is removed when it is so old. */
const oldMs = 86_400_000;

const syncFolder = async (folder: string): Promise<void> => {
  await using handle = await open(folder, 'r');
  await handle.sync();
};

/** Without the folder: its id stands beside it, and where it is need not be everybody's to know. */
const inFolder = (folder: string, { message }: Error): string =>
  message.replaceAll(` in ${folder}`, '').replaceAll(join(folder, '/'), '');

/** All that are there, newest first; a folder that is not there has none. */
export const listBackups = async (directory: string): Promise<readonly Shelved[]> => {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new LockstepError('USAGE', `the folder of backups ${directory} cannot be read: ${error.message}`);
  });
  const ids = names.filter(isId).sort().reverse();
  return Promise.all(
    ids.map(async (id): Promise<Shelved> => {
      const folder = join(directory, id);
      try {
        return { id, manifest: await readManifest(folder), ...(await readVerdict(folder)) };
      } catch (error) {
        return { id, manifest: undefined, verified: undefined, problem: inFolder(folder, error as Error) };
      }
    }),
  );
};

/** A backup's folder, from its id or the beginning of it that no other has. */
export const findBackup = async (directory: string, given: string): Promise<string> => {
  const ids = (await listBackups(directory)).map((b) => b.id).filter((id) => id.startsWith(given));
  if (ids.length === 1 && given.length > 2) return join(directory, ids[0]!);
  throw new LockstepError(
    'NOT_FOUND',
    `${ids.length > 1 ? 'several backups begin with' : 'there is no backup'} ${given} in ${directory}`,
    { hint: 'List them: lockstep backup list' },
  );
};

/** Fills a folder that has its name only when all of it is on the disk. */
export const shelve = async <T>(
  directory: string,
  id: string,
  now: number,
  fill: (folder: string) => Promise<T>,
): Promise<T> => {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) {
    if (!/^\.(partial|dropped)-/.test(name)) continue;
    const found = await stat(join(directory, name)).catch(() => undefined);
    if (found !== undefined && now - found.mtimeMs > oldMs) await rm(join(directory, name), { recursive: true });
  }
  const partial = join(directory, `.partial-${id}`);
  await mkdir(partial, { mode: 0o700 });
  try {
    const made = await fill(partial);
    await syncFolder(partial);
    await rename(partial, join(directory, id));
    await syncFolder(directory);
    return made;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
};

/** A file that is there whole or not at all. */
export const placeFile = async (folder: string, name: string, text: string): Promise<void> => {
  const partial = join(folder, `.${name}`);
  {
    await using file = await open(partial, 'w', 0o600);
    await file.writeFile(text);
    await file.sync();
  }
  await rename(partial, join(folder, name));
  await syncFolder(folder);
};

const noteVerdict = (folder: string, note: VerdictNote): Promise<void> =>
  placeFile(folder, 'verified.json', sealJson(note, undefined));

/** Notes that it was restored and compared. */
export const noteVerified = (folder: string, at: number): Promise<void> => noteVerdict(folder, { at });

/** Notes that it is damaged, in the place of what an earlier proof had shown. */
export const noteDamaged = (folder: string, failed: number, error: Error): Promise<void> =>
  noteVerdict(folder, { failed, problem: inFolder(folder, error) });

export const dropBackup = async (directory: string, id: string): Promise<void> => {
  const going = join(directory, `.dropped-${id}`);
  await rename(join(directory, id), going);
  await rm(going, { recursive: true });
};

/**
 * Which backups of one database may go: all but the newest `last`, those younger than `forMs`, and the newest that is
 * proved. Damaged ones are never of the number, and stay to be looked at.
 */
export const toDrop = (
  all: readonly Shelved[],
  keep: { readonly last: number; readonly forMs: number },
  now: number,
): readonly Shelved[] => {
  const good = all
    .filter((b) => b.manifest !== undefined && b.problem === undefined)
    .sort((a, b) => b.manifest!.made - a.manifest!.made);
  const proved = good.find((b) => b.verified !== undefined);
  return good.filter((b, i) => i >= keep.last && now - b.manifest!.made > keep.forMs && b !== proved);
};
