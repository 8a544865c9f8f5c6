import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ApplyNumbers, totalOf } from '../../src/apply/numbers.ts';
import { loadEngine } from '../../src/engines/registry.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { applied, type Bench, bench, planned } from './bench.ts';
import { type Lane, postgresLane, sqliteLane } from './lanes.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const { signal } = new AbortController();
const child = join(dirname(import.meta.filename), 'crash-child.ts');

/** Where the child died, or `end N` with the number of boundaries it passed. */
const crash = (args: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const p = spawn(process.execPath, [child, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    p.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    p.on('error', reject);
    p.on('close', (code, by) => {
      if (by !== 'SIGKILL' && code !== 0) reject(new Error(`the child ended with ${code}: ${out}`));
      else resolve(out);
    });
  });

interface Case {
  readonly lane: (clean: boolean) => Promise<Lane>;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Nothing moves and nothing is refused. */
  readonly clean: boolean;
  /** What must have been reached. */
  readonly places: readonly string[];
}

/** Plans afresh, lets a child die at a boundary, resumes, and judges. Returns where it died. */
const once = async (c: Case, lane: Lane, fatal: number): Promise<string> => {
  const { connect, parse } = (await loadEngine(lane.engine))!;
  const open = (url: string, writable: boolean): Promise<Endpoint> =>
    connect(parse(url), { name: writable ? 'target' : 'source', writable, signal });
  await lane.reset();
  await using source = await open(lane.source, false);
  await using target = await open(lane.target, true);
  const pairs = [{ source: 'people' }, { source: 'orders' }];
  const { plan } = await planned(b.store, { source, target, pairs, settings: c.settings });
  if (!c.clean) await lane.exec("update people set name = 'stranger' where id = 4");
  await lane.exec('delete from audit');
  const died = await crash([
    b.database.url,
    lane.engine,
    lane.target,
    plan.header.id,
    String(fatal),
    JSON.stringify(c.settings),
  ]);
  if (died.startsWith('end')) return died;

  const used = (await b.store.plans.get(plan.header.id, { signal }))!.usedBy;
  const ended = used === null ? undefined : await b.store.runs.get(used, { signal });
  if (ended?.state !== 'done') await applied(b.store, plan.header.id, { target, settings: c.settings });
  const id = (await b.store.plans.get(plan.header.id, { signal }))!.usedBy!;
  const record = (await b.store.runs.get(id, { signal }))!;
  assert.equal(record.state, 'done', died);
  const n = record.report as unknown as ApplyNumbers;
  const accounted = totalOf(n.applied) + n.already + n.moved + n.rejected + n.rolled_back;
  assert.equal(accounted, totalOf(n.planned), `${died}: ${JSON.stringify(n)}`);
  const twice = await lane.rows('select t, id, op, count(*) from audit group by t, id, op having count(*) > 1');
  assert.deepEqual(twice, [], `written twice after dying ${died}`);
  const writes = Number((await lane.rows('select count(*) from audit'))[0]);
  assert.equal(writes, totalOf(n.applied), `${died}: as many writes as the numbers say`);
  if (c.settings['atomic'] === 'run' && !c.clean) {
    assert.equal(writes, 0, died);
    return died;
  }
  assert.deepEqual(
    await lane.rows('select id, name, email from people order by id'),
    ['1,new,y', '2,new,x', c.clean ? '4,new,w' : '4,stranger,w', '5,ann,e', '6,bob,f'],
    died,
  );
  assert.deepEqual(
    await lane.rows('select id, people_id, note from orders order by id'),
    ['11,5,new', '12,2,same', '13,6,n'],
    died,
  );
  assert.deepEqual([n.moved, n.rejected, n.already], c.clean ? [0, 0, 0] : [1, 2, 0], died);
  assert.equal((await b.store.journal.open(id, { signal })).length, 0, died);
  return died;
};

/** Lanes work beside each other: most of the time is waiting for processes. */
const lanes = 3;

const everywhere = async (c: Case): Promise<void> => {
  const places: string[] = [];
  let next = 1;
  let end: number | undefined;
  const work = async (): Promise<void> => {
    await using lane = await c.lane(c.clean);
    end ??= Number((await once(c, lane, 0)).slice('end '.length));
    while (next <= end) places.push(await once(c, lane, next++));
  };
  await Promise.all(Array.from({ length: lanes }, work));
  assert.equal(places.length, end);
  assert.ok(end! >= 20, `only ${end} boundaries`);
  for (const place of c.places) assert.ok(places.includes(place), `never died ${place}: ${places.join('; ')}`);
};

const always = [
  'before plans.claim',
  'before runs.update',
  'after writer.lock',
  'before journal.intend',
  'after journal.intend',
  'after writer.apply',
  'before journal.settle',
  'after journal.settle',
  'before runs.finish',
];
const committed = [...always, 'written, before the commit', 'after writer.advanceSequences'];
const long = { timeout: 900_000 };

for (const [name, lane] of [
  ['PostgreSQL', postgresLane],
  ['SQLite', sqliteLane],
] as const) {
  test(`${name}: kill -9 at every boundary, then resume: exactly one effect, and the numbers add up`, long, () =>
    everywhere({
      lane,
      settings: { batchSize: 2 },
      clean: false,
      places: name === 'SQLite' ? always : [...always, 'written, before the commit'],
    }),
  );

  test(`${name}: kill -9 at every boundary of an atomic run, then resume: everything, once`, long, () =>
    everywhere({
      lane,
      settings: { atomic: 'run' },
      clean: true,
      places: name === 'SQLite' ? [...always, 'written, before the commit'] : committed,
    }),
  );

  test(`${name}: kill -9 at every boundary of an atomic run that is refused: nothing`, long, () =>
    everywhere({ lane, settings: { atomic: 'run' }, clean: false, places: always }),
  );
}
