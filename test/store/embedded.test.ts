import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/lib/clock.ts';
import { canEnter } from '../../src/store/embedded/binaries.ts';
import { findPlace } from '../../src/store/embedded/place.ts';
import { isServerOf, readPostmaster } from '../../src/store/embedded/postmaster.ts';
import { openStore } from '../../src/work/open-store.ts';
import { newRun, o } from './plain.ts';

const isRoot = process.getuid?.() === 0;
const nobody = isRoot ? { uid: 65534, gid: 65534 } : undefined;
const graceMs = 300;

const folders: string[] = [];
const children: ChildProcess[] = [];
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) {
    for (const dir of [folder, join(folder, 'project')]) {
      if (!existsSync(join(dir, '.lockstep/.gitignore'))) continue;
      const { data, store } = await findPlace(dir);
      const server = existsSync(data) ? readPostmaster(data) : undefined;
      if (server && isServerOf(server.pid, data)) {
        process.kill(server.pid, 'SIGQUIT');
        await serverGone(dir);
      }
      rmSync(store, { recursive: true, force: true });
    }
    rmSync(folder, { recursive: true, force: true });
  }
});

const newFolder = (): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'lockstep-store-')));
  chmodSync(folder, 0o755);
  folders.push(folder);
  return folder;
};

const open = (dir: string) => openStore({ dir, clock: systemClock, signal: o.signal, graceMs });

const pidOf = async (dir: string): Promise<number> => readPostmaster((await findPlace(dir)).data)!.pid;

/** Resolves when the server of `dir` has ended; throws after 30 s. */
const serverGone = async (dir: string, pid?: number): Promise<void> => {
  const { data } = await findPlace(dir);
  const server = pid ?? readPostmaster(data)?.pid;
  const deadline = Date.now() + 30_000;
  while (server !== undefined && isServerOf(server, data)) {
    assert.ok(Date.now() < deadline, 'the server is still there');
    await systemClock.sleep(10, o.signal);
  }
};

interface User {
  readonly child: ChildProcess;
  /** The next line it says. */
  says(): Promise<Record<string, unknown>>;
  ask(command: string): Promise<Record<string, unknown>>;
  leave(): Promise<void>;
  kill(): Promise<void>;
}

const user = (
  dir: string,
  how: { readonly as?: typeof nobody; readonly detached?: boolean; readonly checkout?: string } = {},
): User => {
  const checkout = how.checkout ?? fileURLToPath(new URL('../..', import.meta.url));
  const node = how.checkout ? join(how.checkout, 'node') : process.execPath;
  const child = spawn(node, [join(checkout, 'test/store/store-user.ts'), dir, String(graceMs)], {
    ...how.as,
    cwd: '/',
    detached: how.detached ?? false,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] },
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const says = async (): Promise<Record<string, unknown>> => {
    const line = await lines.next();
    assert.ok(!line.done, 'the process ended without a word');
    return JSON.parse(line.value) as Record<string, unknown>;
  };
  const ended = once(child, 'exit');
  return {
    child,
    says,
    ask: (command) => {
      child.stdin!.write(`${command}\n`);
      return says();
    },
    leave: async () => {
      child.stdin!.write('close\n');
      await ended;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
};

test('a new folder gets a store that ignores itself, keeps what it is told, and its server ends with its last user', async () => {
  const dir = newFolder();
  const store = await open(dir);
  const run = newRun();
  await store.runs.create(run, o);
  const first = await pidOf(dir);
  assert.equal(readFileSync(join(dir, '.lockstep/.gitignore'), 'utf8'), '*\n');
  assert.equal(statSync((await findPlace(dir)).password).mode & 0o777, 0o600);
  assert.equal(statSync((await findPlace(dir)).store).mode & 0o077, 0);
  await store[Symbol.asyncDispose]();
  await serverGone(dir, first);
  const again = await open(dir);
  assert.notEqual(await pidOf(dir), first);
  assert.deepEqual(
    (await again.runs.list({}, o)).map(({ id, alive }) => [id, alive]),
    [[run.id, false]],
  );
  await again[Symbol.asyncDispose]();
});

test('two processes that begin at once get one server, which stays while one of them does', async () => {
  const dir = newFolder();
  const users = [user(dir), user(dir), user(dir)];
  const said = await Promise.all(users.map((one) => one.says()));
  assert.deepEqual(said, Array(3).fill({ open: `embedded, ${dir}/.lockstep` }));
  const pid = await pidOf(dir);
  await users[0]!.ask('run r_1');
  await users[1]!.ask('run r_2');
  assert.deepEqual(await users[2]!.ask('runs'), {
    runs: [
      ['r_2', true],
      ['r_1', true],
    ],
  });
  await users[0]!.leave();
  await users[1]!.kill();
  await systemClock.sleep(graceMs * 3, o.signal);
  assert.deepEqual(await users[2]!.ask('runs'), {
    runs: [
      ['r_2', false],
      ['r_1', false],
    ],
  });
  assert.equal(await pidOf(dir), pid);
  await users[2]!.kill();
  await serverGone(dir, pid);
});

test('a killed server: users get an error that a repeat cures, and nothing that was told is lost', async () => {
  const dir = newFolder();
  const one = user(dir);
  await one.says();
  await one.ask('run r_1');
  const pid = await pidOf(dir);
  process.kill(pid, 'SIGKILL');
  await serverGone(dir, pid);
  let answer = await one.ask('runs');
  for (let tries = 0; answer['code'] === 'CONNECTION_LOST' && tries < 20; tries++) answer = await one.ask('runs');
  assert.deepEqual(
    (answer['runs'] as unknown[][]).map(([id]) => id),
    ['r_1'],
  );
  assert.notEqual(await pidOf(dir), pid);
  await one.leave();
  await serverGone(dir);
});

test('a killed server and killed users: the next one finds everything', async () => {
  const dir = newFolder();
  const one = user(dir);
  await one.says();
  await one.ask('run r_1');
  const pid = await pidOf(dir);
  process.kill(pid, 'SIGKILL');
  await one.kill();
  const two = user(dir);
  assert.deepEqual(await two.says(), { open: `embedded, ${dir}/.lockstep` });
  assert.deepEqual(await two.ask('runs'), { runs: [['r_1', false]] });
  await two.leave();
  await serverGone(dir);
});

test('a lock file whose process number now belongs to somebody else does not stop a start', async () => {
  const dir = newFolder();
  await (await open(dir))[Symbol.asyncDispose]();
  const { data, as } = await findPlace(dir);
  await serverGone(dir);
  const stranger = spawn('sleep', ['600'], { ...as, cwd: '/', stdio: 'ignore' });
  children.push(stranger);
  writeFileSync(
    join(data, 'postmaster.pid'),
    `${stranger.pid}\n${data}\n1700000000\n1\n\n127.0.0.1\n  1234567         7\nready   \n`,
    { mode: 0o600 },
  );
  if (as) chownSync(join(data, 'postmaster.pid'), as.uid, as.gid);
  const store = await open(dir);
  assert.deepEqual(await store.runs.list({}, o), []);
  await store[Symbol.asyncDispose]();
});

test('Ctrl-C in the terminal of one user does not reach the server', async () => {
  const dir = newFolder();
  const one = user(dir, { detached: true });
  await one.says();
  const two = user(dir);
  await two.says();
  const pid = await pidOf(dir);
  const ended = once(one.child, 'exit');
  process.kill(-one.child.pid!, 'SIGINT');
  await ended;
  await two.ask('run r_1');
  assert.deepEqual(await two.ask('runs'), { runs: [['r_1', true]] });
  assert.equal(await pidOf(dir), pid);
  await two.leave();
  await serverGone(dir, pid);
});

test('when the watcher is killed, the next user brings another', async () => {
  const dir = newFolder();
  const store = await open(dir);
  const pid = await pidOf(dir);
  const { store: place } = await findPlace(dir);
  const watcher = await watcherOf(place);
  process.kill(watcher, 'SIGKILL');
  await gone(watcher);
  const other = await open(dir);
  await store[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await serverGone(dir, pid);
});

test('a folder that was moved while its server runs keeps its store; a copied one gets its own', async () => {
  const outer = newFolder();
  const dir = join(outer, 'a');
  const moved = join(outer, 'project');
  const copied = newFolder();
  mkdirSync(dir);
  const store = await open(dir);
  await store.runs.create(newRun({ id: 'r_1' }), o);
  const pid = await pidOf(dir);
  execFileSync('cp', ['-a', dir, join(copied, 'project')]);
  renameSync(dir, moved);
  const there = await open(moved);
  assert.deepEqual(
    (await there.runs.list({}, o)).map(({ id }) => id),
    ['r_1'],
  );
  assert.equal(await pidOf(moved), pid);
  const copy = await open(join(copied, 'project'));
  assert.notEqual(await pidOf(join(copied, 'project')), pid);
  await copy.runs.create(newRun({ id: 'r_2' }), o);
  assert.deepEqual(
    (await there.runs.list({}, o)).map(({ id }) => id),
    ['r_1'],
  );
  await copy[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  await there[Symbol.asyncDispose]();
  await serverGone(moved, pid);
});

test('in a folder under a 0700 parent the store works', async () => {
  const parent = newFolder();
  const dir = join(parent, 'project');
  mkdirSync(dir);
  chmodSync(parent, 0o700);
  const store = await open(dir);
  await store.runs.create(newRun({ id: 'r_1' }), o);
  const place = await findPlace(dir);
  assert.equal(existsSync(join(dir, '.lockstep/location')), isRoot);
  assert.equal(place.store.startsWith(dir), !isRoot);
  await store[Symbol.asyncDispose]();
  await serverGone(dir);
  const again = await open(dir);
  assert.deepEqual(
    (await again.runs.list({}, o)).map(({ id }) => id),
    ['r_1'],
  );
  await again[Symbol.asyncDispose]();
  await serverGone(dir);
});

test('from a checkout under a 0700 parent the store works, for root too', async () => {
  const parent = newFolder();
  chmodSync(parent, 0o700);
  const cache = '/var/lib/lockstep';
  const before = existsSync(cache) ? readdirSync(cache) : undefined;
  const checkout = join(parent, 'checkout');
  copyCheckout(checkout);
  const dir = join(parent, 'project');
  mkdirSync(dir);
  const one = user(dir, { checkout });
  assert.deepEqual(await one.says(), { open: `embedded, ${dir}/.lockstep` });
  await one.ask('run r_1');
  assert.deepEqual(await one.ask('runs'), { runs: [['r_1', true]] });
  await one.leave();
  await serverGone(dir);
  const copies = existsSync(cache) ? readdirSync(cache).filter((name) => name.startsWith('postgresql-')) : [];
  assert.equal(copies.length > 0, isRoot);
  for (const name of copies) if (!before?.includes(name)) rmSync(join(cache, name), { recursive: true });
});

test('an unprivileged user has a store of its own, which root can use too', async () => {
  const dir = newFolder();
  const checkout = nobody && (await checkoutFor(nobody));
  if (nobody) chownSync(dir, nobody.uid, nobody.gid);
  const one = user(dir, { as: nobody, ...(checkout ? { checkout } : {}) });
  assert.deepEqual(await one.says(), { open: `embedded, ${dir}/.lockstep` });
  await one.ask('run r_1');
  const two = user(dir);
  await two.says();
  assert.deepEqual(await two.ask('runs'), { runs: [['r_1', true]] });
  await one.leave();
  await two.leave();
  await serverGone(dir);
  // started by root, used by the owner
  const three = user(dir);
  await three.says();
  const four = user(dir, { as: nobody, ...(checkout ? { checkout } : {}) });
  assert.deepEqual(await four.says(), { open: `embedded, ${dir}/.lockstep` });
  await three.leave();
  await four.leave();
  await serverGone(dir);
});

test('a folder that cannot be written to, and a store of another user, are said to be so', async () => {
  const dir = newFolder();
  const other = newFolder();
  const as = nobody;
  if (as) {
    const checkout = await checkoutFor(as);
    const refused = await user(dir, { as, ...(checkout ? { checkout } : {}) }).says();
    assert.equal(refused['code'], 'STORE');
    assert.match(String(refused['message']), /we may not write there/);
    await (await open(other))[Symbol.asyncDispose]();
    const foreign = await user(other, { as, ...(checkout ? { checkout } : {}) }).says();
    assert.equal(foreign['code'], 'STORE');
    assert.match(String(foreign['message']), /belongs to another user/);
    await serverGone(other);
    return;
  }
  chmodSync(dir, 0o555);
  await assert.rejects(
    open(dir),
    (error: { code?: string; message: string }) => error.code === 'STORE' && /may not write/.test(error.message),
  );
});

test('a path that PostgreSQL cannot take, and a file in the way, are said to be so', async () => {
  const dir = join(newFolder(), ...Array(10).fill('d'.repeat(100)));
  mkdirSync(dir, { recursive: true });
  await assert.rejects(
    open(dir),
    (error: { code?: string; message: string }) => error.code === 'STORE' && /too long/.test(error.message),
  );
  const blocked = newFolder();
  writeFileSync(join(blocked, '.lockstep'), '');
  await assert.rejects(
    open(blocked),
    (error: { code?: string; message: string }) =>
      error.code === 'STORE' && /in the way|not a folder/.test(error.message),
  );
});

test('data of another major version of PostgreSQL are refused, not touched', async () => {
  const dir = newFolder();
  await (await open(dir))[Symbol.asyncDispose]();
  await serverGone(dir);
  const { data } = await findPlace(dir);
  for (const [version, code] of [
    ['99', 'STORE_NEWER'],
    ['9', 'STORE'],
  ] as const) {
    writeFileSync(join(data, 'PG_VERSION'), `${version}\n`);
    await assert.rejects(
      open(dir),
      (error: { code?: string; message: string }) =>
        error.code === code && error.message.includes(`PostgreSQL ${version}`),
    );
  }
});

test('a beginning that was interrupted leaves nothing in the way', async () => {
  const dir = newFolder();
  const { store, as } = await findPlace(dir);
  mkdirSync(`${store}.new-dead/data`, { recursive: true });
  if (as) chownSync(`${store}.new-dead`, as.uid, as.gid);
  await (await open(dir))[Symbol.asyncDispose]();
  assert.equal(existsSync(`${store}.new-dead`), false);
  await serverGone(dir);
});

/** The process number of the store's watcher, as soon as it is there. */
const watcherOf = async (store: string): Promise<number> => {
  for (;;) {
    const line = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
      .split('\n')
      .find((text) => /watch\.ts/.test(text) && text.includes(store));
    if (line) return Number.parseInt(line, 10);
    await systemClock.sleep(10, o.signal);
  }
};
const gone = async (pid: number): Promise<void> => {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await systemClock.sleep(10, o.signal);
  }
};

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What a store needs of this checkout, with the Node that runs it. */
const copyCheckout = (to: string): void => {
  for (const name of ['src', 'package.json', 'test/store'])
    cpSync(join(root, name), join(to, name), { recursive: true });
  const unused = /node_modules\/(@biomejs|@typescript|typescript|node|knip|@types|@oxc.*|oxc.*|\.bin|\.cache)(\/|$)/;
  cpSync(join(root, 'node_modules'), join(to, 'node_modules'), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !unused.test(path),
  });
  cpSync(process.execPath, join(to, 'node'));
};

let copied: string | undefined;
/** A checkout that the user can reach: undefined when this one is, else a copy. */
const checkoutFor = async (as: NonNullable<typeof nobody>): Promise<string | undefined> => {
  if ((await canEnter(root, as)) && (await canEnter(dirname(process.execPath), as))) return undefined;
  if (!copied) {
    copied = newFolder();
    copyCheckout(copied);
  }
  return copied;
};
