import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { totalOf } from '../../src/apply/numbers.ts';
import { postgres } from '../../src/engines/postgres/index.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { testDatabase } from '../servers/postgres.ts';
import { applied, type Bench, bench, planned } from './bench.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const { signal } = new AbortController();
const child = join(dirname(import.meta.filename), 'crash-child.ts');

const crash = (args: readonly string[]): Promise<{ readonly killed: boolean; readonly at: string }> =>
  new Promise((resolve, reject) => {
    const p = spawn(process.execPath, [child, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    p.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    p.on('error', reject);
    p.on('close', (code, by) => {
      if (by !== 'SIGKILL' && code !== 0) reject(new Error(`the child ended with ${code}: ${out}`));
      else resolve({ killed: by === 'SIGKILL', at: out });
    });
  });

// A child without a default that is deferred; values that a trigger counts; a row that is refused, one that has moved.
const setup = `
  drop schema if exists lockstep cascade;
  drop table if exists audit, orders, people;
  create table people (id bigint primary key, name text not null check (name <> 'bad'), email text unique, made serial);
  create table orders (id bigint primary key, people_id bigint references people, note text);
  create table audit (t text, id bigint, op text);
  create function seen() returns trigger language plpgsql as $$
    begin
      -- Values of a unique column that are exchanged are parked on the way: that is no second write of the row.
      if tg_op <> 'UPDATE' or new is distinct from old and (to_jsonb(new) - 'email') <> (to_jsonb(old) - 'email')
      then insert into audit values (tg_table_name, coalesce(new.id, old.id), tg_op); end if;
      return null;
    end $$;
  insert into people (id, name, email) values (1,'old','x'),(2,'old','y'),(3,'gone','z'),(4,'old','w'),(8,'gone','v');
  insert into orders values (10,3,'gone'),(11,1,'old'),(12,2,'same');
  create trigger seen after insert or update or delete on people for each row execute function seen();
  create trigger seen after insert or update or delete on orders for each row execute function seen();`;
const wanted = `
  create table people (id bigint primary key, name text not null, email text);
  create table orders (id bigint primary key, people_id bigint references people, note text);
  insert into people values (1,'new','y'),(2,'new','x'),(4,'new','w'),(5,'ann','e'),(6,'bob','f'),(7,'bad','g');
  insert into orders values (11,5,'new'),(12,2,'same'),(13,6,'n'),(14,7,'waits');`;

const run = async (settings: Record<string, unknown>, least: number, clean: boolean): Promise<void> => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(wanted);
  if (clean) await source.query('delete from orders where id = 14; delete from people where id = 7');
  const places: string[] = [];
  const open = (url: string, writable: boolean): Promise<Endpoint> =>
    postgres.connect(postgres.parse(url), { name: writable ? 'target' : 'source', writable, signal });
  await using left = await open(source.url, false);
  for (let fatal = 1; ; fatal++) {
    await target.query('drop function if exists seen cascade');
    await target.query(setup);
    await using right = await open(target.url, true);
    const pairs = [{ source: 'people' }, { source: 'orders' }];
    const { plan } = await planned(b.store, { source: left, target: right, pairs, settings });
    if (!clean) await target.query("update people set name = 'stranger' where id = 4");
    await target.query('truncate audit');
    const died = await crash([
      b.database.url,
      'postgres',
      target.url,
      plan.header.id,
      String(fatal),
      JSON.stringify(settings),
    ]);
    if (!died.killed) break;
    places.push(died.at);
    const used = (await b.store.plans.get(plan.header.id, { signal }))!.usedBy;
    const ended = used === null ? undefined : await b.store.runs.get(used, { signal });
    if (ended?.state !== 'done') await applied(b.store, plan.header.id, { target: right, settings });
    const id = (await b.store.plans.get(plan.header.id, { signal }))!.usedBy!;
    const record = (await b.store.runs.get(id, { signal }))!;
    assert.equal(record.state, 'done', died.at);
    const n = record.report as unknown as import('../../src/apply/numbers.ts').ApplyNumbers;
    const accounted = totalOf(n.applied) + n.already + n.moved + n.rejected + n.rolled_back;
    assert.equal(accounted, totalOf(n.planned), `${died.at}: ${JSON.stringify(n)}`);
    const twice = await target.query('select t, id, op, count(*) from audit group by 1, 2, 3 having count(*) > 1');
    assert.deepEqual(twice.rows, [], `written twice after dying ${died.at}`);
    const written = await target.query('select count(*)::int as n from audit');
    const people = await target.query('select id::int, name, email from people order by id');
    const orders = await target.query('select id::int, people_id::int, note from orders order by id');
    if (settings['atomic'] === 'run' && !clean) {
      assert.equal(written.rows[0].n, 0, died.at);
      assert.equal(totalOf(n.applied), 0);
      continue;
    }
    assert.deepEqual(
      people.rows.map((r) => Object.values(r).join(',')),
      ['1,new,y', '2,new,x', clean ? '4,new,w' : '4,stranger,w', '5,ann,e', '6,bob,f'],
      died.at,
    );
    assert.deepEqual(
      orders.rows.map((r) => Object.values(r).join(',')),
      ['11,5,new', '12,2,same', '13,6,n'],
      died.at,
    );
    assert.equal(written.rows[0].n, totalOf(n.applied), `${died.at}: as many writes as the numbers say`);
    assert.deepEqual([n.moved, n.rejected, n.already], clean ? [0, 0, 0] : [1, 2, 0], died.at);
    const { rows } = await target.query(
      "select nextval(pg_get_serial_sequence('people', 'made'))::int as n, max(made) as m from people",
    );
    assert.ok(rows[0].n > rows[0].m, 'the sequence stands past every value');
  }
  assert.ok(places.length >= least, `only ${places.length} boundaries: ${places.join('; ')}`);
  const met = [
    'before journal.intend',
    'after journal.intend',
    'after writer.apply',
    'before journal.settle',
    'after journal.settle',
  ];
  for (const place of [...met, ...(clean || settings['atomic'] !== 'run' ? ['written, before the commit'] : [])]) {
    assert.ok(places.includes(place), `never died ${place}`);
  }
};

const long = { timeout: 600_000 };

test('kill -9 at every boundary, then resume: exactly one effect, and the numbers add up', long, () =>
  run({ batchSize: 2 }, 40, false),
);

test('kill -9 at every boundary of an atomic run, then resume: everything, once', long, () =>
  run({ atomic: 'run' }, 12, true),
);

test('kill -9 at every boundary of an atomic run that is refused: nothing', long, () =>
  run({ atomic: 'run' }, 12, false),
);
