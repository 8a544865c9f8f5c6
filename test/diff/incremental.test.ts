import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryDatabase, memoryEndpoint } from '../../src/engines/memory/endpoint.ts';
import type { IncrementalRule } from '../../src/model/incremental.ts';
import { incrementalRuns, rule } from './incremental-runs.ts';
import { type Cells, column, heldClock, int, sums, table, text } from './tables.ts';

const shape = table('t', [column('id', int), column('v', text), column('at', { kind: 'timestamp', fraction: 6 })], 1);
const noon = Date.UTC(2024, 4, 1, 12);
/** `minutes` after noon, as the column holds it. */
const at = (minutes: number): string =>
  new Date(noon + minutes * 60_000)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.000Z$/, '');

const hundred = (change: (id: number) => Partial<Record<'v' | 'at', string | null>> = () => ({})): Cells[] =>
  Array.from({ length: 100 }, (_, i) => {
    const row = { v: `v${i + 1}`, at: at(-600 + i), ...change(i + 1) };
    return [String(i + 1), row.v, row.at];
  });

/** Two tables of a hundred equal rows, and a clock that stands at noon until it is moved. */
const sides = (source = hundred(), target = source, targetShape = shape) => {
  let now = noon;
  const clock = { ...heldClock(), now: () => now };
  const left = memoryDatabase([{ table: shape, rows: source }], clock);
  const right = memoryDatabase([{ table: targetShape, rows: target }], clock);
  const runs = incrementalRuns(
    memoryEndpoint(left, { name: 'left', writable: false }),
    memoryEndpoint(right, { name: 'right', writable: false }),
    clock,
  );
  const set = (db: typeof left, id: number, cells: Cells | null): void =>
    db.edit('t', (rows) => [
      ...rows.filter((row) => row[0] !== String(id)),
      ...(cells === null ? [] : [[String(id), ...cells]]),
    ]);
  return {
    ...runs,
    setLeft: (id: number, cells: Cells | null) => set(left, id, cells),
    setRight: (id: number, cells: Cells | null) => set(right, id, cells),
    replaceLeft: (rows: readonly Cells[]) => left.edit('t', () => rows),
    replaceRight: (rows: readonly Cells[]) => right.edit('t', () => rows),
    later: (minutes: number) => {
      now += minutes * 60_000;
    },
  };
};

const byAt = rule('at');
const blindToDeletes: IncrementalRule = { ...byAt, deletes: 'none' };

test('the first comparison is of all rows; the next looks at what was written since, on either side', async () => {
  const s = sides();
  const first = await s.run(byAt);
  assert.equal(first.report.verdict, 'agrees');
  assert.equal(first.pair.strategy, 'digest');
  assert.equal(first.facts.mode, 'full');
  assert.match(first.facts.why!, /no earlier comparison/);
  s.later(60);
  const second = await s.run(byAt);
  assert.equal(second.pair.strategy, 'incremental');
  assert.equal(second.report.verdict, 'agrees');
  assert.deepEqual(second.facts.since, { run: 'r_1', at: new Date(noon).toISOString() });
  assert.deepEqual(second.facts.changed, { source: 3, target: 3 }, 'those within the overlap');
  assert.equal(second.pair.rows.source, 3);
  assert.deepEqual(second.facts.table_rows, { source: 100, target: 100 });
  s.setLeft(7, ['new', at(50)]);
  s.setRight(9, ['odd', at(55)]);
  const third = await s.run(byAt);
  assert.equal(third.report.verdict, 'differs');
  assert.deepEqual(third.keys, ['7', '9']);
  assert.deepEqual(sums(third.pair), []);
});

test('differences that nobody applied are found again, until they are gone', async () => {
  const s = sides();
  await s.run(byAt);
  s.setLeft(7, ['new', at(1)]);
  s.later(60);
  assert.deepEqual((await s.run(byAt)).keys, ['7']);
  // The row is far behind the overlap by now.
  s.setLeft(8, ['v8', at(55)]);
  s.setRight(8, ['v8', at(55)]);
  for (let i = 0; i < 3; i++) {
    s.later(60);
    const again = await s.run(byAt);
    assert.deepEqual(again.keys, ['7']);
    assert.equal(again.facts.open, i === 0 ? 1 : 2 - 1);
  }
  s.setRight(7, ['new', at(1)]);
  assert.equal((await s.run(byAt)).report.verdict, 'agrees');
  assert.equal((await s.run(byAt)).facts.open, 0);
});

test('differences of a comparison of all rows stay open, too', async () => {
  const s = sides(
    hundred(),
    hundred((id) => (id === 5 ? { v: 'other' } : {})),
  );
  assert.deepEqual((await s.run(byAt)).keys, ['5']);
  const next = await s.run(byAt);
  assert.equal(next.pair.strategy, 'incremental');
  assert.deepEqual(next.keys, ['5']);
});

test('a comparison whose end was not kept is made again from the same place', async () => {
  const s = sides();
  await s.run(byAt);
  s.setLeft(7, ['new', at(10)]);
  s.later(60);
  assert.deepEqual((await s.run(byAt, { die: true })).keys, ['7']);
  s.setLeft(8, ['newer', at(59)]);
  const next = await s.run(byAt);
  assert.deepEqual(next.keys, ['7', '8']);
  assert.equal(next.facts.since?.run, 'r_1');
});

test('a late commit with an older time: seen within the overlap, missed outside, and the next full comparison says so', async () => {
  const s = sides();
  await s.run(byAt);
  s.later(60);
  s.setLeft(1, ['early', at(30)]);
  s.setRight(1, ['early', at(30)]);
  await s.run(byAt);
  // Begun before, committed now: one a minute before the greatest value, one ten minutes.
  s.setLeft(2, ['late', at(29)]);
  s.setLeft(3, ['too late', at(20)]);
  s.later(60);
  assert.deepEqual((await s.run(byAt)).keys, ['2']);
  const longer = { ...byAt, overlapMs: 15 * 60_000 };
  assert.deepEqual((await s.run(longer)).keys, ['2', '3'], 'a longer overlap reaches it');
  const other = sides();
  await other.run(byAt);
  other.setLeft(50, ['old time', at(-1000)]);
  other.later(60);
  assert.equal((await other.run(byAt)).report.verdict, 'agrees', 'nothing can see it but a full comparison');
  const full = await other.run(byAt, { full: 'asked for' });
  assert.deepEqual(full.keys, ['50']);
  assert.equal(full.facts.missed, 1);
  assert.match(full.pair.warnings[0]!, /MISSED 1 DIFFERENCE since run r_1, e\.g\. key 50/);
  assert.match(full.pair.warnings[0]!, /without a greater at, or later than the overlap/);
});

test('rows that never settled stay open', async () => {
  const s = sides();
  s.setLeft(100, ['v100', at(-1)]);
  s.setRight(100, ['v100', at(-1)]);
  await s.run(byAt);
  s.setLeft(7, ['first', at(-2)]);
  let moves = 0;
  // Moved while it is read again, to a time that no overlap reaches.
  const clock = heldClock(() => s.setLeft(7, [`moving ${++moves}`, at(-500)]));
  const moving = await s.run(byAt, { settleMs: 10, clock });
  assert.equal(moving.pair.in_flight, 1);
  assert.equal(moving.report.verdict, 'incomplete');
  s.later(60);
  const next = await s.run(byAt);
  assert.equal(next.facts.mode, 'changes');
  assert.deepEqual(next.keys, ['7']);
});

test('equal times at the boundary are looked at, also without an overlap', async () => {
  const s = sides();
  const none = { ...byAt, overlapMs: 0 };
  s.setLeft(1, ['a', at(0)]);
  s.setRight(1, ['a', at(0)]);
  await s.run(none);
  s.setLeft(2, ['b', at(0)]);
  s.later(1);
  assert.deepEqual((await s.run(none)).keys, ['2']);
});

test('rows without a time are always looked at', async () => {
  const s = sides(hundred((id) => (id <= 2 ? { at: null } : {})));
  await s.run(byAt);
  s.later(60);
  assert.equal((await s.run(byAt)).report.verdict, 'agrees');
  s.setRight(2, ['x', null]);
  assert.deepEqual((await s.run(byAt)).keys, ['2']);
});

test('one time of the future hides nothing: the clock of the database bounds the mark', async () => {
  const s = sides(hundred((id) => (id === 100 ? { at: '2099-01-01 00:00:00' } : {})));
  await s.run(byAt);
  s.later(60);
  s.setLeft(4, ['new', at(30)]);
  assert.deepEqual((await s.run(byAt)).keys, ['4']);
});

test('deleted rows are found by the keys; without them the verdict is incomplete and says so', async () => {
  const s = sides();
  await s.run(byAt);
  await s.run(blindToDeletes);
  s.setLeft(7, null);
  s.setRight(9, null);
  const blind = await s.run(blindToDeletes, {});
  assert.equal(blind.report.verdict, 'incomplete');
  assert.deepEqual(blind.keys, []);
  assert.match(blind.report.coverage.not_compared[0]!.reason, /deleted rows are not seen/);
  assert.match(blind.report.coverage.not_compared[0]!.fix!, /deletes: keys/);
  const seeing = await s.run(byAt);
  assert.deepEqual(
    seeing.differences.map((d) => `${d.kind} ${d.key.join()}`),
    ['only_in_target 7', 'only_in_source 9'],
  );
  const full = await s.run(blindToDeletes, { full: 'asked for' });
  assert.equal(full.facts.missed, 0, 'they were open since the last comparison saw them');
});

test('deletes that incremental comparisons could not see are told by the full one', async () => {
  const s = sides();
  await s.run(blindToDeletes);
  s.setLeft(7, null);
  await s.run(blindToDeletes);
  const full = await s.run(blindToDeletes, { full: 'asked for' });
  assert.equal(full.facts.missed, 1);
  assert.match(full.pair.warnings[0]!, /Deleted rows are not seen: set deletes: keys/);
});

test('a row that only the target shows has the source counted: an empty one must be known as such', async () => {
  const s = sides();
  await s.run(blindToDeletes);
  for (let id = 1; id <= 100; id++) s.setLeft(id, null);
  s.setRight(500, ['own', at(1)]);
  const next = await s.run(blindToDeletes);
  assert.ok(next.keys.includes('500'));
  assert.equal(next.facts.table_rows?.source, 0);
});

test('a target without the column: its own edits are not seen, and the verdict says so', async () => {
  const bare = table('t', [column('id', int), column('v', text)], 1);
  const rows = hundred();
  const s = sides(
    rows,
    rows.map(([id, v]) => [id!, v!]),
    bare,
  );
  const options = { defaults: { exclude: ['at'] } };
  assert.equal((await s.run(byAt, options)).report.verdict, 'agrees');
  s.setRight(3, ['edited alone']);
  s.setLeft(4, ['new', at(1)]);
  const next = await s.run(byAt, options);
  assert.equal(next.facts.by.target, null);
  assert.deepEqual(next.keys, ['4']);
  s.setRight(4, ['new']);
  const then = await s.run(byAt, options);
  assert.equal(then.report.verdict, 'incomplete');
  assert.match(
    then.report.coverage.not_compared[0]!.reason,
    /rows written in right alone are not seen: t has no column at/,
  );
  const full = await s.run(byAt, { ...options, full: 'asked for' });
  assert.deepEqual(full.keys, ['3']);
  assert.equal(full.facts.missed, 1);
});

test('what cannot be compared incrementally is compared whole each time, and why is said', async () => {
  const cases: readonly [string, IncrementalRule, Parameters<ReturnType<typeof sides>['run']>[1], RegExp][] = [
    ['no such column', rule('changed'), {}, /t has no column changed/],
    ['no order', rule('v'), {}, /only times and whole numbers/],
    ['no versions', rule('auto'), {}, /memory keeps no version of its rows\. Name a column \(at\?\)/],
    ['another key', byAt, { defaults: { key: ['v'] } }, /no unique index guarantees its key/],
    [
      'the time in a filter',
      byAt,
      { defaults: { filter: { source: `at > '0001-01-01'`, target: `v <> 'now'` } } },
      /'now' is another value tomorrow/,
    ],
  ];
  for (const [name, by, options, why] of cases) {
    const s = sides();
    for (let i = 0; i < 2; i++) {
      const { facts, pair, report } = await s.run(by, options);
      assert.equal(facts.mode, 'full', name);
      assert.match(facts.why!, why);
      assert.match(facts.not_kept!, why);
      assert.notEqual(pair.strategy, 'incremental');
      assert.equal(report.verdict, 'agrees', name);
    }
    assert.equal(s.standings.size, 0);
  }
});

test('other settings start from nowhere: columns, condition, tolerance, the way changes are told', async () => {
  const s = sides();
  await s.run(byAt);
  for (const defaults of [
    { exclude: ['v'] },
    { filter: { source: `id > 1`, target: `id > 1` } },
    { tolerances: { v: { trim: true as const } } },
  ]) {
    const { facts } = await s.run(byAt, { defaults });
    assert.equal(facts.mode, 'full');
    assert.match(facts.why!, /no earlier comparison of the same/);
  }
  assert.equal(
    (await s.run({ ...byAt, overlapMs: 5 })).facts.mode,
    'changes',
    'an overlap changes nothing of what agreed',
  );
  assert.equal((await s.run(rule('id'))).facts.mode, 'full');
  assert.equal((await s.run(byAt)).facts.mode, 'changes', 'the first settings still stand');
});

test('all rows are compared after a time, after a number of comparisons, and when a clock was set back', async () => {
  const s = sides();
  const modes: string[] = [];
  const every3 = { ...byAt, fullEvery: { runs: 3 } };
  for (let i = 0; i < 7; i++) modes.push((await s.run(every3)).facts.mode);
  assert.deepEqual(modes, ['full', 'changes', 'changes', 'full', 'changes', 'changes', 'full']);
  s.later(24 * 60 - 1);
  assert.equal((await s.run(byAt)).facts.mode, 'changes');
  s.later(2);
  const due = await s.run(byAt);
  assert.equal(due.facts.mode, 'full');
  assert.match(due.facts.why!, /the last one is 1 d old/);
  s.later(-600);
  assert.match((await s.run(byAt)).facts.why!, /lies in the future/);
});

test('a row that leaves or enters a filter is seen by its write', async () => {
  const s = sides();
  const options = { defaults: { filter: { source: `v <> 'draft'`, target: `v <> 'draft'` } } };
  const blind = { ...blindToDeletes };
  await s.run(blind, options);
  s.setLeft(7, ['draft', at(1)]);
  s.setRight(8, ['draft', at(1)]);
  const next = await s.run(blind, options);
  assert.equal(next.pair.outside_filter, 2);
  s.later(120);
  for (const set of [s.setLeft, s.setRight]) set(99, ['v99', at(100)]);
  assert.equal((await s.run(blind, options)).pair.outside_filter, 2);
  assert.equal((await s.run(blind, options)).pair.outside_filter, 2, 'far behind the overlap by now, and open still');
  s.setLeft(7, ['back', at(101)]);
  assert.deepEqual((await s.run(blind, options)).keys, ['7']);
});

test('a watermark of whole numbers counts its overlap', async () => {
  const s = sides();
  const byId = rule('id');
  await s.run(byId);
  s.setLeft(91, ['late', null]);
  s.setLeft(89, ['too late', null]);
  s.setLeft(105, ['new', null]);
  assert.deepEqual((await s.run(byId)).keys, ['91', '105']);
});

test('an empty table has nothing to start from, and is compared whole', async () => {
  const s = sides([], []);
  assert.equal((await s.run(byAt)).facts.mode, 'full');
  s.setLeft(1, ['a', at(0)]);
  const next = await s.run(byAt);
  assert.equal(next.facts.mode, 'full');
  assert.match(next.facts.why!, /left nothing to start from/);
  assert.deepEqual(next.keys, ['1']);
});

test('transformed rows: what is done with them is part of the settings, and look-ups change by themselves', async () => {
  const s = sides(
    hundred((id) => (id === 1 ? { v: 'due' } : {})),
    hundred((id) => (id === 1 ? { v: 'past' } : {})),
  );
  const mapped = (to: string) => ({
    pairs: [{ source: 't', key: ['id'], transform: { columns: { v: { map: new Map([['due', to]]) } }, validate: {} } }],
  });
  assert.equal((await s.run(byAt, mapped('past'))).report.verdict, 'agrees');
  assert.equal((await s.run(byAt, mapped('past'))).facts.mode, 'changes');
  const other = await s.run(byAt, mapped('late'));
  assert.equal(other.facts.mode, 'full');
  assert.deepEqual(other.keys, ['1']);
  const lookup = {
    endpoint: 'source' as const,
    table: 't',
    by: { id: 'id' },
    value: 'v',
    missing: 'null' as const,
  };
  const looking = { pairs: [{ source: 't', key: ['id'], transform: { columns: { v: { lookup } }, validate: {} } }] };
  for (let i = 0; i < 2; i++) {
    const { facts } = await s.run(byAt, looking);
    assert.equal(facts.mode, 'full');
    assert.match(facts.why!, /made with values of other tables/);
  }
});

test('invalid rows stay open: one that a comparison set apart is looked at again', async () => {
  const s = sides();
  const options = {
    pairs: [{ source: 't', key: ['id'], transform: { columns: {}, validate: { v: { pattern: '^v' } } } }],
  };
  await s.run(byAt, options);
  s.setLeft(5, ['wrong', at(1)]);
  s.later(60);
  for (let i = 0; i < 3; i++) {
    const { pair, report } = await s.run(byAt, options);
    assert.equal(pair.strategy, 'incremental');
    assert.equal(pair.quarantined, 1);
    assert.equal(report.verdict, 'incomplete');
    s.later(60);
    s.setLeft(100 - i, [`v${100 - i}`, at(60 * (i + 2))]);
    s.setRight(100 - i, [`v${100 - i}`, at(60 * (i + 2))]);
  }
});

test('another database in the place of one starts from nowhere', async () => {
  const first = sides();
  await first.run(byAt);
  const second = sides();
  for (const [key, standing] of first.standings) second.standings.set(key, standing);
  const { facts } = await second.run(byAt);
  assert.match(facts.why!, /no earlier comparison of the same/);
});

test('a side whose greatest value has gone back may have been restored, and is compared whole', async () => {
  const s = sides();
  s.setLeft(100, ['v100', at(-1)]);
  s.setRight(100, ['v100', at(-1)]);
  await s.run(byAt);
  // The target as it was before its last write, and edited since, long before the mark.
  s.setRight(100, ['v100', at(-501)]);
  s.setRight(50, ['lost', at(-550)]);
  const { facts, keys } = await s.run(byAt);
  assert.equal(facts.mode, 'full');
  assert.match(facts.why!, /right: the greatest at was 2024-05-01 11:59:00 and is .*an earlier state was restored/);
  assert.deepEqual(keys, ['50', '100']);
});

/** So many rows at one moment: `change` makes those of the source. */
const crowd = (n: number, v: (id: number) => string = () => 'v'): Cells[] =>
  Array.from({ length: n }, (_, i) => [String(i + 1), v(i + 1), at(-600)]);

test('more open keys than are kept: the place to start from stays, or is given up where it is known to be wrong', async () => {
  const n = 120;
  const limits = { open: 100, changed: 500 };
  const wide = sides(
    crowd(n, (id) => `left ${id}`),
    crowd(n),
  );
  for (let i = 0; i < 2; i++) {
    const { facts, pair } = await wide.run(byAt, { limit: 10, limits });
    assert.equal(pair.different, n);
    assert.equal(facts.mode, 'full');
    assert.match(
      facts.not_kept!,
      /more than 100 keys do not agree: until they do, the next comparison is of all rows again/,
    );
    if (i === 1) assert.match(facts.why!, /left nothing to start from/);
  }
  const late = sides(crowd(n), crowd(n));
  await late.run(byAt);
  late.replaceLeft(crowd(n, (id) => `new ${id}`).map(([id, v]) => [id!, v!, at(1)]));
  for (let i = 0; i < 2; i++) {
    const { facts, pair } = await late.run(byAt, { limit: 10, limits });
    assert.equal(pair.different, n);
    assert.equal(facts.mode, 'changes');
    assert.equal(facts.since!.run, 'r_1');
    assert.match(facts.not_kept!, /starts where this one did/);
  }
});

test('more changed rows than are looked up one by one: all rows are compared, in the same snapshots', async () => {
  const n = 101;
  const limits = { open: 100, changed: 100 };
  const s = sides(crowd(n), crowd(n));
  await s.run(byAt);
  s.replaceLeft(crowd(n).map(([id, v]) => [id!, id === '7' ? 'x' : v!, at(1)]));
  s.replaceRight(crowd(n).map(([id, v]) => [id!, v!, at(1)]));
  const { facts, keys } = await s.run(byAt, { limits });
  assert.equal(facts.mode, 'full');
  assert.match(facts.why!, /101 rows of left have changed/);
  assert.deepEqual(keys, ['7']);
  const deleted = sides();
  await deleted.run(byAt);
  deleted.replaceRight([]);
  const gone = await deleted.run(byAt, { limits: { open: 500, changed: 50 } });
  assert.match(gone.facts.why!, /100 keys are on one side only/);
  assert.equal(gone.pair.only_in_source, 100);
});
