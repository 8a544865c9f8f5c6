import { execFile } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Where a Firebird server's files are. */
export interface FirebirdBinaries {
  readonly firebird: string;
  readonly isql: string;
  readonly gbak: string;
  /** The folder with `intl`, `plugins` and `firebird.msg`. */
  readonly home: string;
  /** Describes the character sets. */
  readonly fbintl: string;
  /** For LD_LIBRARY_PATH; empty where the system finds them by itself. */
  readonly libraries: readonly string[];
  /** The folder that the binaries look for their parts in, where it is not `home`. */
  readonly compiledIn?: string;
  /** The packed sample database, where it is at hand. */
  readonly employee: string | undefined;
}

const run = promisify(execFile);
const project = join(import.meta.dirname, '../..');
const cache = join(project, '.cache/firebird');

/** Debian 12 has 3.0; newer releases have 4.0. */
const versions = ['3.0', '4.0'] as const;

/** Replaces a path in a binary by one that is no longer, wherever it begins a text. */
const movePath = (file: string, from: string, to: string): void => {
  const bytes = readFileSync(file);
  const was = Buffer.from(from);
  for (let at = bytes.indexOf(was); at >= 0; at = bytes.indexOf(was, at + 1)) {
    const end = bytes.indexOf(0, at);
    const text = Buffer.from(to + bytes.toString('latin1', at + was.length, end), 'latin1');
    bytes.fill(0, at, end);
    text.copy(bytes, at);
  }
  writeFileSync(file, bytes);
};

/**
 * Copies a server's parts into a folder of its own and makes them look for each other there: Debian's build has its
 * folders compiled in, and where the packages are not installed they do not exist.
 */
export const relocated = (b: FirebirdBinaries, home: string): FirebirdBinaries => {
  if (b.compiledIn !== undefined && home.length > b.compiledIn.length)
    throw new Error(`the temporary folder's name is too long for Firebird: ${home}`);
  mkdirSync(home, { recursive: true });
  // Copies: through links the server does not find its character sets.
  for (const part of ['intl', 'plugins', 'firebird.msg', 'tzdata'].filter((p) => existsSync(join(b.home, p))))
    cpSync(join(b.home, part), join(home, part), { recursive: true });
  rmSync(join(home, 'intl/fbintl.conf'), { force: true });
  copyFileSync(b.fbintl, join(home, 'intl/fbintl.conf'));
  if (b.compiledIn === undefined) return b;
  const programs = [b.firebird, b.isql, b.gbak, join(dirname(b.gbak), 'gfix')];
  const libraries = b.libraries.map((l) => join(l, 'libfbclient.so.2')).filter((f) => existsSync(f));
  for (const file of [...programs, ...libraries]) copyFileSync(file, join(home, basename(file)));
  const files = [...programs, ...libraries].map((f) => join(home, basename(f)));
  for (const file of [...files, ...globSync(`${home}/{plugins,intl}/*.so`)]) movePath(file, b.compiledIn, home);
  const own = (file: string): string => join(home, basename(file));
  return {
    ...b,
    firebird: own(b.firebird),
    isql: own(b.isql),
    gbak: own(b.gbak),
    home,
    libraries: [home, ...b.libraries],
  };
};

const inRoot = (root: string): FirebirdBinaries | undefined => {
  for (const version of versions) {
    const [home] = globSync(`${root}/usr/lib/*/firebird/${version}`);
    const firebird = join(root, 'usr/sbin/firebird');
    if (home === undefined || !existsSync(firebird) || !existsSync(join(home, 'plugins'))) continue;
    const isql = [join(root, 'usr/bin/isql-fb'), join(root, 'usr/bin/isql')].find((f) => existsSync(f));
    if (isql === undefined) continue;
    return {
      firebird,
      isql,
      gbak: join(root, 'usr/bin/gbak'),
      home,
      fbintl: join(root, `etc/firebird/${version}/fbintl.conf`),
      libraries: root === '' ? [] : [dirname(dirname(home)), join(root, 'lib'), join(root, 'usr/lib')],
      ...(root === '' ? {} : { compiledIn: home.slice(root.length) }),
      employee: globSync(`${root}/usr/share/doc/firebird*/examples/**/employee.sql.gz`)[0],
    };
  }
  return undefined;
};

/** The project's own archive, as firebirdsql.org delivers it. */
const inOpt = (): FirebirdBinaries | undefined => {
  const home = '/opt/firebird';
  if (!existsSync(`${home}/bin/firebird`) || !existsSync(`${home}/bin/isql`)) return undefined;
  const bin = (name: string): string => `${home}/bin/${name}`;
  return {
    firebird: bin('firebird'),
    isql: bin('isql'),
    gbak: bin('gbak'),
    home,
    fbintl: `${home}/intl/fbintl.conf`,
    libraries: [`${home}/lib`],
    employee: undefined,
  };
};

/** `apt-get download` into a folder; without package lists they are fetched first, into folders of our own. */
let aptOptions: readonly string[] = ['-o', 'APT::Sandbox::User='];

const download = async (packages: readonly string[], into: string): Promise<void> => {
  const own = ['state/lists/partial', 'cache/archives/partial'].map((d) => join(into, 'apt', d));
  const privately = [
    ...['-o', `Dir::State=${into}/apt/state`, '-o', `Dir::Cache=${into}/apt/cache`],
    ...['-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User='],
  ];
  try {
    await run('apt-get', [...aptOptions, 'download', ...packages], { cwd: into });
  } catch (error) {
    if (aptOptions.length > 2) throw error;
    for (const dir of own) mkdirSync(dir, { recursive: true });
    await run('apt-get', [...privately, 'update'], { cwd: into });
    aptOptions = privately;
    await run('apt-get', [...privately, 'download', ...packages], { cwd: into });
  }
};

const extract = async (into: string, root: string): Promise<void> => {
  for (const file of readdirSync(into)) {
    if (!file.endsWith('.deb')) continue;
    await run('dpkg-deb', ['-x', join(into, file), root]);
    rmSync(join(into, file));
  }
};

/** Names of libraries that a server would not find. */
const missing = async (b: FirebirdBinaries): Promise<string[]> => {
  const files = [b.firebird, b.isql, b.gbak, ...globSync(`${b.home}/plugins/*.so`)];
  const env = { ...process.env, LD_LIBRARY_PATH: b.libraries.join(':') };
  const texts = await Promise.all(files.map(async (f) => (await run('ldd', [f], { env })).stdout));
  return [...new Set(texts.flatMap((t) => [...t.matchAll(/^\s*(\S+) => not found/gm)].map((m) => m[1]!)))];
};

/** Names of library packages that a package needs, near and far. */
const libraryPackages = async (name: string): Promise<string[]> => {
  const only = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map((what) => `--no-${what}`);
  const { stdout } = await run('apt-cache', [...aptOptions, 'depends', '--recurse', ...only, name]);
  const names = stdout.split('\n').filter((line) => /^lib[a-z0-9.+-]+$/.test(line));
  return names.filter((n) => !/^lib(c6|gcc|crypt)/.test(n));
};

const packagesOf = (version: string): string[] => [
  ...['server', 'server-core', 'utils', 'common', 'examples'].map((part) => `firebird${version}-${part}`),
  'libfbclient2',
  'libib-util',
];

/** Downloads and extracts the Debian packages into the project's cache: nothing is installed, no root is needed. */
const fromDebian = async (): Promise<FirebirdBinaries> => {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'making-'));
  const root = join(work, 'root');
  try {
    let last: unknown;
    for (const version of versions) {
      try {
        await download(packagesOf(version), work);
        last = undefined;
      } catch (error) {
        last = error;
        continue;
      }
      await extract(work, root);
      const found = inRoot(root);
      if (!found) throw new Error(`the packages of Firebird ${version} hold no server`);
      if ((await missing(found)).length > 0) {
        await download(await libraryPackages(`firebird${version}-server-core`), work);
        await download(await libraryPackages(`firebird${version}-utils`), work);
        await extract(work, root);
        const still = await missing(found);
        if (still.length > 0) throw new Error(`Firebird lacks ${still.join(', ')}`);
      }
      break;
    }
    if (last !== undefined) throw last;
    try {
      renameSync(root, join(cache, 'root'));
    } catch {
      // Another process was faster; its files are the same.
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return inRoot(join(cache, 'root'))!;
};

/** A server's binaries: of this machine, of the project's cache, or fetched now. Throws what stood in the way. */
export const firebirdBinaries = async (): Promise<FirebirdBinaries> =>
  inRoot('') ?? inOpt() ?? inRoot(join(cache, 'root')) ?? (await fromDebian());
