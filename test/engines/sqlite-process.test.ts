import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Connection } from '../../src/engines/sqlite/connection.ts';
import { sqlite } from '../../src/engines/sqlite/index.ts';
import { sqliteRows } from '../../src/engines/sqlite/rows.ts';
import type { Change } from '../../src/model/change.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Row } from '../../src/model/row.ts';
import { nativeSelection } from '../../src/model/selection.ts';

const signal = new AbortController().signal;
const slow =
  '(with recursive c(n) as (select 1 union all select n + 1 from c where n < 1000000000) select max(n) from c) > 0';

const folder = (): Disposable & { readonly path: string } => {
  const path = mkdtempSync(join(tmpdir(), 'lockstep-sqlite-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
};

const create = (path: string, sql: string): void => {
  const raw = new DatabaseSync(path);
  raw.exec(sql);
  raw.close();
};

const connect = (path: string, o: { writable?: boolean; statementTimeoutMs?: number } = {}): Promise<Endpoint> =>
  sqlite.connect(sqlite.parse(`sqlite:${path}`), { name: 'shop', writable: false, signal, ...o });

const failsWith = async (work: Promise<unknown>, code: string, message: RegExp): Promise<void> => {
  await assert.rejects(work, (e) => {
    assert.ok(e instanceof LockstepError, String(e));
    assert.equal(e.code, code);
    assert.match(`${e.message} ${e.hint ?? ''}`, message);
    return true;
  });
};

const alive = (pid: number): boolean => {
  try {
    // A zombie has ended.
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

/** Looks again until it holds; the test's own time-out is the bound. */
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};

test('a missing file is not created, and its resolved path is named', async () => {
  using dir = folder();
  await failsWith(connect(join(dir.path, 'none.db')), 'CONNECT', /none\.db/);
  assert.deepEqual(readdirSync(dir.path), []);
});

test('a file that is no database, an encrypted one and a damaged one are told in words', async () => {
  using dir = folder();
  const text = join(dir.path, 'text.db');
  writeFileSync(text, 'This is not a database, whatever it is called. '.repeat(100));
  await failsWith(connect(text), 'CONNECT', /not an SQLite database, or it is encrypted/);
  const damaged = join(dir.path, 'damaged.db');
  create(
    damaged,
    `create table t (id integer primary key, v text);
    insert into t with recursive c(x) as (select 1 union all select x + 1 from c where x < 5000) select x, 'row ' || x from c`,
  );
  const bytes = readFileSync(damaged);
  bytes.fill(0x5a, 4096, bytes.length);
  writeFileSync(damaged, bytes);
  await using endpoint = await connect(damaged);
  const selection = {
    table: { name: 't' },
    columns: [{ name: 'id', stored: { kind: 'int', bits: 64 }, as: { kind: 'int', bits: 64 } }],
    keyWidth: 1,
  } as const;
  await using reader = await endpoint.snapshot({ signal });
  await failsWith(Array.fromAsync(reader.scan(selection, { kind: 'all' }, { signal })), 'DATABASE', /damaged/);
});

test('a statement that runs too long ends with its process, and the endpoint lives on', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(path, 'create table t (id integer primary key); insert into t values (1)');
  await using endpoint = await connect(path, { statementTimeoutMs: 3000 });
  const table = (await endpoint.inspect({ signal })).tables[0]!;
  const reader = await endpoint.snapshot({ signal });
  const selection = nativeSelection(table, ['id']);
  await failsWith(reader.count({ ...selection, filter: slow }, { signal }), 'STATEMENT_TIMEOUT', /3000 ms/);
  await reader[Symbol.asyncDispose]();
  await using again = await endpoint.snapshot({ signal });
  assert.equal(await again.count(selection, { signal }), 1);
});

test('a condition that SQLite cannot read is an error of the condition', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(path, 'create table t (id integer primary key)');
  await using endpoint = await connect(path);
  const table = (await endpoint.inspect({ signal })).tables[0]!;
  await using reader = await endpoint.snapshot({ signal });
  const selection = { ...nativeSelection(table, ['id']), filter: 'no_such_column = 1' };
  await failsWith(reader.count(selection, { signal }), 'FILTER', /no_such_column/);
  await failsWith(Array.fromAsync(reader.scan(selection, { kind: 'all' }, { signal })), 'FILTER', /no_such_column/);
});

test('a locked file is contention that may be tried again, and leaves no trace', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(
    path,
    'pragma journal_mode = wal; create table t (id integer primary key, v text); insert into t values (1, null)',
  );
  await using endpoint = await connect(path, { writable: true });
  const table = (await endpoint.inspect({ signal })).tables[0]!;
  await endpoint.writer!.prepare({ signal });
  const changes = [
    { op: 'update', key: ['1'], before: ['1', null], after: ['1', 'x'], columns: [1] },
  ] as unknown as Change[];
  const apply = () =>
    endpoint.writer!.apply({ run: 'r', step: 1, token: 0n }, [{ table, key: ['id'], changes }], { signal });
  const other = new DatabaseSync(path);
  other.exec('begin immediate');
  await assert.rejects(apply(), {
    code: 'CONTENTION',
    retry: 'now',
    hint: 'Try again when the other writer has ended.',
  });
  other.exec('rollback');
  assert.deepEqual(await apply(), { status: 'done' });
  other.close();
});

test('reading a database in WAL mode leaves no files beside it', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(path, 'pragma journal_mode = wal; create table t (id integer primary key); insert into t values (1)');
  const before = readFileSync(path);
  {
    await using endpoint = await connect(path);
    const table = (await endpoint.inspect({ signal })).tables[0]!;
    await using reader = await endpoint.snapshot({ signal });
    assert.equal(await reader.count(nativeSelection(table, ['id']), { signal }), 1);
  }
  assert.deepEqual(readdirSync(dir.path), ['x.db']);
  assert.deepEqual(readFileSync(path), before);
});

test('a process whose parent is killed ends in the middle of its statement', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(path, 'create table t (id integer primary key); insert into t values (1)');
  const script = join(dir.path, 'parent.ts');
  const source = new URL('../../src/engines/sqlite/connection.ts', import.meta.url).href;
  writeFileSync(
    script,
    `import { Connection } from ${JSON.stringify(source)};
     const o = { signal: new AbortController().signal };
     const { connection } = await Connection.open({ side: 'x', path: ${JSON.stringify(path)}, readOnly: true, immutable: false, busyTimeoutMs: 0 }, undefined, o);
     await connection.call('begin', null, o);
     const selection = { table: { name: 't' }, columns: [], keyWidth: 0, filter: ${JSON.stringify(slow)} };
     connection.call('count', selection, o).catch(() => {});
     console.log(connection.pid);`,
  );
  const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = await new Promise<number>((resolve) =>
    parent.stdout.once('data', (text) => resolve(Number(String(text)))),
  );
  assert.ok(alive(pid));
  parent.kill('SIGKILL');
  await until(() => !alive(pid));
});

test('a read of rows that nobody waits for ends in its process; who waits behind it is answered all the same', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(
    path,
    `create table t (id integer primary key, v text); insert into t values (1, 'a');
    create view endless as select 1 as id where ${slow}`,
  );
  const opened: { readonly connection: Connection; readonly readOnly: boolean }[] = [];
  const begun = Promise.withResolvers<void>();
  const closed = new AbortController();
  await using ends = new AsyncDisposableStack();
  ends.defer(() => closed.abort());
  const rows = sqliteRows({
    side: 'x',
    writable: true,
    closed: closed.signal,
    open: async (readOnly, o) => {
      const args = { side: 'x', path, readOnly, immutable: false, busyTimeoutMs: 1000 };
      const { connection } = await Connection.open(args, undefined, o);
      opened.push({ connection, readOnly });
      ends.use(connection);
      ends.defer(() => closed.abort());
      connection.call = (op, ...rest) => {
        if (JSON.stringify(rest[0]).includes('"count"')) begun.resolve();
        return Connection.prototype.call.call(connection, op, ...rest) as never;
      };
      return connection;
    },
  });
  await using endpoint = await connect(path);
  const { tables } = await endpoint.inspect({ signal });
  const named = (name: string) => tables.find((t) => t.name === name)!;
  const t = await rows.of(named('t'), ['id'], { signal });
  const endless = await rows.of(named('endless'), ['id'], { signal });
  const leaves = new AbortController();
  const { pid } = opened[0]!.connection;
  const first = endless.count([], 'exact', { signal: leaves.signal });
  await begun.promise;
  const behind = t.get(['1'] as unknown as Row, { columns: ['id', 'v'], where: [] }, { signal });
  leaves.abort();
  await failsWith(first, 'ABORTED', /x: the statement was stopped/);
  assert.deepEqual((await behind)!.cells, ['1', 'a']);
  await until(() => !alive(pid!));
  assert.deepEqual(
    opened.map((o) => o.readOnly),
    [true, true],
  );
});

test('a process that is killed is a lost connection, not a result', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(path, 'create table t (id integer primary key); insert into t values (1), (2), (3)');
  const args = { side: 'x', path, readOnly: true, immutable: false, busyTimeoutMs: 0 };
  const { connection } = await Connection.open(args, undefined, { signal });
  await connection.call('begin', null, { signal });
  const selection = { table: { name: 't' }, columns: [], keyWidth: 0, filter: `${slow} or id = 1` };
  const answer = connection.call('count', selection, { signal });
  process.kill(connection.pid!, 'SIGKILL');
  await failsWith(answer, 'CONNECTION_LOST', /SIGKILL/);
  await connection[Symbol.asyncDispose]();
});

test('a file without the right to write is told so', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(path, 'create table t (id integer primary key)');
  chmodSync(path, 0o444);
  await using endpoint = await connect(path, { writable: true });
  if (process.getuid?.() === 0) {
    // Root may write whatever the mode says.
    assert.equal(await endpoint.writer!.prepare({ signal }), 'marker');
    return;
  }
  await failsWith(endpoint.writer!.prepare({ signal }), 'NOT_WRITABLE', /x\.db/);
});

test('a file in a format that this SQLite may read but not write is told so, whoever asks', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(path, 'create table t (id integer primary key); insert into t values (1)');
  // The write version of the file format (sqlite.org/fileformat.html, 1.3.3): above 2 it is read-only.
  const bytes = readFileSync(path);
  bytes[18] = 3;
  writeFileSync(path, bytes);
  await using endpoint = await connect(path, { writable: true });
  await failsWith(endpoint.writer!.prepare({ signal }), 'NOT_WRITABLE', /x\.db/);
  await using reader = await endpoint.snapshot({ signal });
  assert.equal(await reader.count({ table: { name: 't' }, columns: [], keyWidth: 0 }, { signal }), 1);
});

test('a read-only URL has no writer', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(path, 'create table t (id integer primary key)');
  await using endpoint = await connect(`${path}?mode=ro`, { writable: true });
  assert.equal(endpoint.writer, undefined);
});

test('foreign keys are judged at commit, and a broken one is refused by name', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(
    path,
    `create table parent (id integer primary key);
    create table child (id integer primary key, parent integer references parent (id));`,
  );
  await using endpoint = await connect(path, { writable: true });
  const { tables } = await endpoint.inspect({ signal });
  const [child, parent] = tables as [(typeof tables)[0], (typeof tables)[0]];
  await endpoint.writer!.prepare({ signal });
  const insert = (table: typeof child, row: readonly string[]) => ({
    table,
    key: ['id'],
    changes: [
      { op: 'insert', key: [row[0]], before: null, after: row, columns: row.map((_, i) => i) },
    ] as unknown as Change[],
  });
  const apply = (step: number, batches: readonly ReturnType<typeof insert>[]) =>
    endpoint.writer!.apply({ run: 'r', step, token: 0n }, batches, { signal });
  assert.deepEqual(await apply(1, [insert(child, ['1', '7']), insert(parent, ['7'])]), { status: 'done' });
  const broken = await apply(2, [insert(child, ['2', '8'])]);
  assert.equal(broken.status, 'rejected');
  assert.match(broken.status === 'rejected' ? broken.reason : '', /FOREIGN KEY.*child.*parent/);
  assert.equal(await endpoint.writer!.applied({ run: 'r', step: 2 }, { signal }), false);
});

test('two snapshots at once, again and again, are two processes: starting one takes longer than comparing a small table', async () => {
  using dir = folder();
  const path = join(dir.path, 'x.db');
  create(path, 'create table t (id integer primary key)');
  const started: unknown[] = [];
  const count = (message: unknown): void => void started.push(message);
  subscribe('child_process', count);
  try {
    await using endpoint = await connect(path);
    for (let i = 0; i < 3; i++) {
      await using _first = await endpoint.snapshot({ signal });
      await using _second = await endpoint.snapshot({ signal });
    }
    assert.equal(started.length, 2);
  } finally {
    unsubscribe('child_process', count);
  }
});
