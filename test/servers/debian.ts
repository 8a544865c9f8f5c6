import { execFile } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The folders of the package lists in `into`, for apt; empty where the system's own are good. */
const privately = (into: string): readonly string[] => [
  ...['-o', `Dir::State=${into}/apt/state`, '-o', `Dir::Cache=${into}/apt/cache`],
  ...['-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User='],
];

/** `apt-get download` into a folder; without package lists they are fetched first, into folders of our own. */
export const download = async (packages: readonly string[], into: string): Promise<void> => {
  try {
    await run('apt-get', ['-o', 'APT::Sandbox::User=', 'download', ...packages], { cwd: into });
  } catch {
    for (const dir of ['state/lists/partial', 'cache/archives/partial'])
      mkdirSync(join(into, 'apt', dir), { recursive: true });
    await run('apt-get', [...privately(into), 'update'], { cwd: into });
    await run('apt-get', [...privately(into), 'download', ...packages], { cwd: into });
  }
};

/** What every system has, or a server of a test does without. */
const everywhere = /^lib(c6|gcc|stdc|systemd|pam|llvm)/;

/** Extracts what was downloaded; names of library packages that it needs. */
export const extract = async (into: string, root: string): Promise<readonly string[]> => {
  const needed: string[] = [];
  for (const file of readdirSync(into).filter((name) => name.endsWith('.deb'))) {
    const { stdout } = await run('dpkg-deb', ['-f', join(into, file), 'Depends']);
    needed.push(...[...stdout.matchAll(/(?:^|, )((?:lib|lua-)[a-z0-9.+-]+)/g)].map((m) => m[1]!));
    await run('dpkg-deb', ['-x', join(into, file), root]);
    rmSync(join(into, file));
  }
  return [...new Set(needed)].filter((name) => !everywhere.test(name));
};

/** For LD_LIBRARY_PATH; empty where the system finds them by itself. */
export const librariesIn = (root: string): readonly string[] =>
  root === '' ? [] : [...globSync(`${root}/usr/lib/*-linux-gnu`), ...globSync(`${root}/lib/*-linux-gnu`)];

/** Do these programs find all their libraries? */
export const findsLibraries = async (programs: readonly string[], libraries: readonly string[]): Promise<boolean> => {
  const env = libraries.length === 0 ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries.join(':') };
  const said = await Promise.all(programs.map((program) => run('ldd', [program], { env })));
  return said.every(({ stdout }) => !stdout.includes('not found'));
};

/**
 * Downloads and extracts Debian packages, and the libraries they need, into `cache`/root: nothing is installed, no root
 * is needed. `packages` may look at what was downloaded first.
 */
export const fromDebian = async <B>(
  cache: string,
  packages: readonly string[] | ((work: string) => Promise<readonly string[]>),
  found: (root: string) => B | undefined,
  complete: (binaries: B) => Promise<boolean>,
): Promise<B> => {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'making-'));
  const root = join(work, 'root');
  try {
    const names = typeof packages === 'function' ? await packages(work) : packages;
    await download(names, work);
    const needed = await extract(work, root);
    const first = found(root);
    if (first === undefined) throw new Error(`the packages ${names.join(', ')} hold no server`);
    if (!(await complete(first))) {
      await download(needed, work);
      await extract(work, root);
      if (!(await complete(found(root)!))) throw new Error(`the server of ${names.join(', ')} lacks libraries`);
    }
    try {
      renameSync(root, join(cache, 'root'));
    } catch {
      // Another process was faster; its files are the same.
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return found(join(cache, 'root'))!;
};
