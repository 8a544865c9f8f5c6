import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { type ApplyNumbers, totalOf } from '../../src/apply/numbers.ts';
import { loadEngine } from '../../src/engines/registry.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { applied, type Bench, bench, planned } from './bench.ts';
import type { Task } from './crash-child.ts';
import { type Lane, postgresLane, sqliteLane } from './lanes.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
/** Started ahead, and not needed yet: whoever comes next takes them. */
const ready: Victim[] = [];
after(async () => {
  for (const one of ready) one[Symbol.dispose]();
  await b[Symbol.asyncDispose]();
});

/** Every boundary takes minutes (the soak run does it): by default some of them, others each time. */
const every = process.env['LOCKSTEP_TEST_EVERY_CRASH'] === '1';
const some = 6;
const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000);

const { signal } = new AbortController();
const child = join(dirname(import.meta.filename), 'crash-child.ts');

/** A process that waits for its task: starting one takes longer than what it does. */
interface Victim extends Disposable {
  /** Where it died, or `end […]` with the boundaries it passed. */
  crash(task: Task): Promise<string>;
}

const victim = (): Victim => {
  const p = spawn(process.execPath, [child, b.database.url], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  p.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  p.stdin.on('error', () => {});
  const ended = new Promise<string>((resolve, reject) => {
    p.on('error', reject);
    p.on('close', (code, by) => {
      if (by !== 'SIGKILL' && code !== 0) reject(new Error(`the child ended with ${code}: ${out}`));
      else resolve(out);
    });
  });
  ended.catch(() => {});
  return {
    crash: (task) => {
      p.stdin.end(`${JSON.stringify(task)}\n`);
      return ended;
    },
    [Symbol.dispose]: () => void p.kill('SIGKILL'),
  };
};

interface Case {
  readonly lane: (clean: boolean) => Promise<Lane>;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Nothing moves and nothing is refused. */
  readonly clean: boolean;
  /** Without the full loop: only these, where the case adds to what the others die at. */
  readonly adds?: readonly string[];
  /** What must have been reached. */
  readonly places: readonly string[];
}

/** What crashes one after another share. */
interface Crashing extends AsyncDisposable {
  readonly lane: Lane;
  readonly source: Endpoint;
  readonly target: Endpoint;
  /** One that is ready, and the next one started. */
  next(): Victim;
}

const crashing = async (lane: Lane): Promise<Crashing> => {
  const { connect, parse } = (await loadEngine(lane.engine))!;
  await lane.reset();
  const open = (url: string, writable: boolean): Promise<Endpoint> =>
    connect(parse(url), { name: writable ? 'target' : 'source', writable, signal });
  const source = await open(lane.source, false);
  const target = await open(lane.target, true);
  if (ready.length < lanes) ready.push(victim());
  return {
    lane,
    source,
    target,
    next: () => {
      const now = ready.shift() ?? victim();
      if (ready.length < lanes) ready.push(victim());
      return now;
    },
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
      await lane[Symbol.asyncDispose]();
    },
  };
};

/** Plans afresh, lets a child die at a boundary, resumes, and judges. Returns where it died. */
const once = async (c: Case, on: Crashing, fatal: number): Promise<string> => {
  const { lane, source, target } = on;
  await lane.reset();
  const pairs = [{ source: 'people' }, { source: 'orders' }];
  const { plan } = await planned(b.store, { source, target, pairs, settings: c.settings });
  if (!c.clean) await lane.exec("update people set name = 'stranger' where id = 4");
  await lane.exec('delete from audit');
  const { engine, target: url } = lane;
  const task: Task = { engine, target: url, plan: plan.header.id, fatal, settings: c.settings };
  const died = await on.next().crash(task);
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

/** Lanes work beside each other: part of the time is waiting for processes. */
const lanes = every ? 3 : 2;

/** A reply that is lost after its commit is the worst: that one always, and others by the seed. */
const chosen = (places: readonly number[], names: readonly string[]): number[] => {
  const worst = places.filter((place) => names[place - 1] === 'after writer.apply');
  const others = places.filter((place) => !worst.includes(place));
  for (let i = 0; i < others.length; i++) {
    const j = i + ((seed * 7919 + i * 104_729) % (others.length - i));
    [others[i], others[j]] = [others[j]!, others[i]!];
  }
  return [...worst, ...others].slice(0, some);
};

/** Of each kind of boundary the one in the middle. A kind is what was done last: the `before b` after `after a` is one with it. */
const oneOfEach = (names: readonly string[]): readonly number[] => {
  const kinds = new Map<string, number[]>();
  names.forEach((name, i) => {
    if (name.startsWith('before ') && names[i - 1]?.startsWith('after ')) return;
    kinds.set(name, [...(kinds.get(name) ?? []), i + 1]);
  });
  return [...kinds.values()].map((places) => places[places.length >> 1]!);
};

const everywhere = async (c: Case, t: TestContext): Promise<void> => {
  t.diagnostic(`LOCKSTEP_TEST_SEED=${seed}`);
  const died: string[] = [];
  let names: readonly string[] | undefined;
  let todo: number[] = [];
  const work = async (first: boolean): Promise<void> => {
    await using on = await crashing(await c.lane(c.clean));
    if (first) {
      names = JSON.parse((await once(c, on, 0)).slice('end '.length)) as string[];
      const all = names.map((_, i) => i + 1);
      todo = every ? all : (c.adds?.map((name) => names!.lastIndexOf(name) + 1) ?? chosen(oneOfEach(names), names));
      others = Array.from({ length: lanes - 1 }, () => work(false));
    }
    for (let fatal = todo.shift(); fatal !== undefined; fatal = todo.shift()) {
      const name = await once(c, on, fatal);
      // Batches beside each other take turns as they come.
      if (c.settings['concurrency'] !== 2) assert.equal(name, names![fatal - 1], 'the same boundaries each time');
      died.push(name);
    }
  };
  let others: Promise<void>[] = [];
  await work(true);
  await Promise.all(others);
  assert.ok(names!.length >= 20, `only ${names!.length} boundaries`);
  for (const place of c.places) assert.ok(names!.includes(place), `never came ${place}: ${names!.join('; ')}`);
  assert.ok(died.length >= (c.adds?.length ?? some), `died only ${died.join('; ')}`);
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
  test(`${name}: kill -9 at every boundary, then resume: exactly one effect, and the numbers add up`, long, (t) =>
    everywhere(
      {
        lane,
        settings: { batchSize: 2, concurrency: 1 },
        clean: false,
        places: name === 'SQLite' ? always : [...always, 'written, before the commit'],
      },
      t,
    ),
  );

  test(`${name}: kill -9 while two batches are on their way, then resume: exactly one effect`, long, (t) =>
    everywhere(
      {
        lane,
        settings: { batchSize: 2, concurrency: 2 },
        clean: false,
        adds: ['after journal.intend', 'after writer.apply', 'before journal.settle', 'after journal.settle'],
        places: always,
      },
      t,
    ),
  );

  test(`${name}: kill -9 at every boundary of an atomic run, then resume: everything, once`, long, (t) =>
    everywhere(
      {
        lane,
        settings: { atomic: 'run' },
        clean: true,
        adds: ['after journal.intend', 'written, before the commit', 'after writer.apply', 'after journal.settle'],
        places: name === 'SQLite' ? [...always, 'written, before the commit'] : committed,
      },
      t,
    ),
  );

  test(`${name}: kill -9 at every boundary of an atomic run that is refused: nothing`, long, (t) =>
    everywhere(
      {
        lane,
        settings: { atomic: 'run' },
        clean: false,
        adds: ['after writer.apply', 'after journal.settle'],
        places: always,
      },
      t,
    ),
  );
}
