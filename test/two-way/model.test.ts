import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { random } from '../acceptance/random.ts';
import { type Bench, bench } from '../apply/bench.ts';
import { isFirebirdMissing } from '../servers/firebird.ts';
import { both, policyOf, twoDatabases } from './bench.ts';
import { history } from './model/history.ts';
import { firebirdSide, postgresSide } from './model/side.ts';

let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());
const { signal } = new AbortController();

const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000);
/** Histories of each pair; `npm run soak -- --scenario two-way` goes on for longer. */
const histories = Number(process.env['LOCKSTEP_TEST_HISTORIES'] ?? 1);
const long = { timeout: 600_000 + histories * 120_000 };
const engines = { postgres: postgresSide, firebird: firebirdSide };

for (const [left, right, bursts] of [
  ['postgres', 'postgres', 3],
  ['postgres', 'firebird', 1],
  ['firebird', 'postgres', 0],
] as const) {
  // The third only where there is time for it.
  const all = bursts === 0 && histories === 1 ? 0 : histories;
  if (all === 0 || (isFirebirdMissing && (left === 'firebird' || right === 'firebird'))) continue;
  test(
    `${left} and ${right}: whatever users do, whatever fails, no write is lost and both come to rest`,
    long,
    async (t) => {
      for (let i = 0; i < all; i++) {
        const done = await history({
          seed: seed + i,
          storeUrl: b.database.url,
          bursts: histories === 1 ? bursts : 10,
          sides: async () => ({ source: await engines[left]('left'), target: await engines[right]('right') }),
        });
        t.diagnostic(`LOCKSTEP_TEST_SEED=${seed + i} ${JSON.stringify(done)}`);
        assert.ok(done.steps > 0 && done.runs > bursts);
      }
    },
  );
}

/** A process that is killed at that call; where it died, or `end` and how many calls it made. */
const killed = (ask: {
  readonly source: string;
  readonly target: string;
  readonly fatal: number;
  readonly at?: string;
}) =>
  new Promise<string>((resolve, reject) => {
    const child = join(dirname(import.meta.filename), 'model/kill-child.ts');
    const p = spawn(process.execPath, [child, JSON.stringify({ ...ask, store: b.database.url })], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    p.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    p.on('error', reject);
    p.on('close', (code, by) =>
      by === 'SIGKILL' || code === 0 ? resolve(out) : reject(new Error(`ended with ${code}`)),
    );
  });

const every = process.env['LOCKSTEP_TEST_EVERY_CRASH'] === '1';

test(
  'kill -9 between the writes of two sides: the next run finishes it, and nothing is added twice',
  long,
  async (t) => {
    const { int } = random(seed);
    t.diagnostic(`LOCKSTEP_TEST_SEED=${seed}`);
    const ddl = 'create table people (id int primary key, n int, name text)';
    const places = every
      ? [
          'after target.writer.apply',
          'before store.journal.settle',
          'after store.twoWayRuns.add',
          'after store.twoWayRuns.planned',
          'after store.twoWayRuns.began',
          'after source.writer.apply',
          'after store.conflicts.record',
          'before store.archives.keep',
          'before store.twoWayRuns.end',
          'after store.twoWayRuns.end',
        ]
      : [
          [
            'after source.writer.apply',
            'before store.twoWayRuns.end',
            'before store.journal.settle',
            'after store.journal.settle',
          ][int(4)]!,
        ];
    for (const at of places) {
      await using p = await twoDatabases(ddl);
      for (const db of [p.left, p.right])
        await db.query(`insert into people select i, 10, 'old' from generate_series(1, 6) i`);
      const rule = { kind: 'take', take: 'sum', column: 'n', where: 'test' } as const;
      const policy = policyOf(
        { kind: 'rules', rules: [rule], where: 'test' },
        { kind: 'prefer', side: 'source', where: 'test' },
      );
      const ask = { ...p, sync: 'killed', policy };
      await b.store.archives.forget({ sync: 'killed' }, { signal });
      await both(b.store, ask);
      await p.left.query(
        `update people set n = 13 where id <= 3; update people set name = 'left' where id = 4; delete from people where id = 5`,
      );
      await p.right.query(
        `update people set n = 15 where id <= 3; update people set name = 'right' where id in (1, 4); insert into people values (7, 1, 'new')`,
      );
      // A run ends once, and does the rest more than once.
      const fatal = every || at.endsWith('twoWayRuns.end') ? 1 : 1 + int(2);
      const died = await killed({ source: p.left.url, target: p.right.url, fatal, at });
      t.diagnostic(`died ${died}`);
      assert.doesNotMatch(died, /^end/, `it never came ${at}`);
      await p.left.query('update people set n = n + 1 where id = 2');
      for (let i = 0; i < 3; ) {
        try {
          await both(b.store, ask);
          i++;
        } catch (error) {
          // the server has not seen yet that the process is gone
          assert.equal((error as { code?: string }).code, 'LOCK_HELD');
        }
      }
      const rows = async (db: typeof p.left) => (await db.query('select * from people order by id')).rows;
      const [left, right] = [await rows(p.left), await rows(p.right)];
      assert.deepEqual(left, right, died);
      assert.deepEqual(
        left.map((r: { id: number; n: number; name: string }) => [r.id, r.n, r.name]),
        [
          [1, 18, 'right'],
          [2, 19, 'old'],
          [3, 18, 'old'],
          [4, 10, 'left'],
          [6, 10, 'old'],
          [7, 1, 'new'],
        ],
        died,
      );
      const ruled = await b.store.conflicts.list(
        { sync: 'killed', keys: [['4' as never]], states: ['ruled'] },
        { signal },
      );
      assert.ok(
        ruled.some((c) => c.target?.[2] === 'right'),
        'what was overruled is on record',
      );
      assert.deepEqual((await both(b.store, ask)).sync.planned, { insert: 0, update: 0, delete: 0, withheld: 0 });
    }
  },
);
