import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { loadEngine } from '../../src/engines/registry.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { testDatabase } from '../servers/postgres.ts';
import { applied, type Bench, bench, planned } from './bench.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const { signal } = new AbortController();

const open = async (engine: string, url: string, writable: boolean): Promise<Endpoint> => {
  const { connect, parse } = (await loadEngine(engine))!;
  return connect(parse(url), { name: writable ? 'target' : 'source', writable, signal });
};

/** Two databases of an engine, and SQL straight to the second. */
interface Side extends AsyncDisposable {
  readonly source: Endpoint;
  readonly target: Endpoint;
  exec(sql: string): Promise<void>;
  rows(sql: string): Promise<readonly string[]>;
}

const sides: Readonly<Record<string, (sourceSql: string, targetSql: string) => Promise<Side>>> = {
  PostgreSQL: async (sourceSql, targetSql) => {
    const left = await testDatabase();
    const right = await testDatabase();
    await left.query(sourceSql);
    await right.query(targetSql);
    const source = await open('postgres', left.url, false);
    const target = await open('postgres', right.url, true);
    return {
      source,
      target,
      exec: async (sql) => void (await right.query(sql)),
      rows: async (sql) => (await right.query(sql)).rows.map((row) => Object.values(row).join(',')),
      [Symbol.asyncDispose]: async () => {
        for (const one of [source, target, left, right]) await one[Symbol.asyncDispose]();
      },
    };
  },
  SQLite: async (sourceSql, targetSql) => {
    const folder = mkdtempSync(join(tmpdir(), 'lockstep-along-'));
    const use = <T>(name: string, work: (db: DatabaseSync) => T): T => {
      const db = new DatabaseSync(join(folder, name), { timeout: 20_000 });
      try {
        return work(db);
      } finally {
        db.close();
      }
    };
    use('source.db', (db) => db.exec(sourceSql));
    use('target.db', (db) => db.exec(targetSql));
    const source = await open('sqlite', `sqlite:${join(folder, 'source.db')}`, false);
    const target = await open('sqlite', `sqlite:${join(folder, 'target.db')}`, true);
    return {
      source,
      target,
      exec: async (sql) => use('target.db', (db) => db.exec(sql)),
      rows: async (sql) =>
        use('target.db', (db) =>
          db
            .prepare(sql)
            .all()
            .map((row) => Object.values(row).join(',')),
        ),
      [Symbol.asyncDispose]: async () => {
        await source[Symbol.asyncDispose]();
        await target[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};

for (const [engine, side] of Object.entries(sides)) {
  for (const effect of ['cascade', 'set null']) {
    test(`${engine}: on delete ${effect}: a parent that a stranger's row refers to since the plan stays`, async () => {
      const schema = `create table owners (id bigint primary key, name text);
        create table pets (id bigint primary key, owner bigint references owners(id) on delete ${effect}, name text);
        insert into owners values (1, 'stays');
        insert into pets values (10, 1, 'stays');`;
      await using s = await side(
        schema,
        `${schema} insert into owners values (2, 'goes'), (3, 'goes'); insert into pets values (20, 2, 'goes'), (30, 3, 'goes');`,
      );
      const pairs = [{ source: 'owners' }, { source: 'pets' }];
      const { plan } = await planned(b.store, { ...s, pairs });
      assert.equal(plan.header.counts.delete, 4);
      await s.exec("insert into pets values (21, 2, 'new')");
      const done = await applied(b.store, plan.header.id, s);
      const { numbers } = done.result;
      assert.deepEqual([numbers.applied.delete, numbers.moved], [3, 1]);
      assert.deepEqual(await s.rows('select id from owners order by id'), ['1', '2']);
      assert.deepEqual(await s.rows('select id, owner, name from pets order by id'), ['10,1,stays', '21,2,new']);
      const reasons: (string | undefined)[] = [];
      for await (const batch of b.store.journal.outcomes(done.run, { signal, statuses: ['moved'] }))
        for (const { outcome } of batch) reasons.push(outcome.reason);
      assert.match(reasons.join(), /^rows of .*pets refer to it that the plan does not delete/);
    });
  }

  test(`${engine}: a tree goes leaves first; a branch with a stranger's leaf stays, up to the root`, async () => {
    const schema =
      'create table nodes (id bigint primary key, parent bigint references nodes(id) on delete cascade, name text);';
    await using s = await side(
      `${schema} insert into nodes values (9, 9, 'stays');`,
      `${schema} insert into nodes values (9, 9, 'stays'), (1, null, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, 4, 'own'), (5, null, 'd'), (6, 5, 'e');`,
    );
    const { plan } = await planned(b.store, { ...s, settings: { batchSize: 2 } });
    assert.equal(plan.header.counts.delete, 6);
    await s.exec("insert into nodes values (7, 3, 'new')");
    const { numbers } = (await applied(b.store, plan.header.id, s)).result;
    assert.deepEqual([numbers.applied.delete, numbers.moved + numbers.rejected], [3, 3]);
    assert.deepEqual(await s.rows('select id from nodes order by id'), ['1', '2', '3', '7', '9']);
  });

  test(`${engine}: all or nothing: a stranger's row keeps everything`, async () => {
    const schema = `create table owners (id bigint primary key, name text);
      create table pets (id bigint primary key, owner bigint references owners(id) on delete cascade);
      insert into owners values (1, 'stays');
      insert into pets values (10, 1);`;
    await using s = await side(
      schema,
      `${schema} insert into owners values (2, 'goes'); insert into pets values (20, 2);`,
    );
    const pairs = [{ source: 'owners' }, { source: 'pets' }];
    const { plan } = await planned(b.store, { ...s, pairs, settings: { atomic: 'run' } });
    await s.exec('insert into pets values (21, 2)');
    const { result } = await applied(b.store, plan.header.id, s);
    assert.ok(result.rolledBack !== undefined);
    assert.deepEqual(await s.rows('select id from pets order by id'), ['10', '20', '21']);
  });
}
