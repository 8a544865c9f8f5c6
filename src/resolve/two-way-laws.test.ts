import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge, within } from '../model/judge.ts';
import type { ColumnPair } from '../model/pair.ts';
import type { ConflictPolicy, PolicyRule, PolicyStep, Side } from '../model/policy.ts';
import type { Cell, Row } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { BaseRow, ThreeWay, TwoWayDecision } from '../model/two-way.ts';
import { twoWayResolver } from './two-way.ts';

/** What must hold of every decision, whatever the rows and the policy are. */

const column = (name: string, as: ColumnType, o: Partial<ColumnPair> = {}): ColumnPair => ({
  source: { name, type: as, native: as.kind, nullable: true },
  target: { name, type: as, native: as.kind, nullable: true },
  as,
  ...o,
});
const pair = {
  name: 't',
  keyWidth: 1,
  columns: [
    column('id', { kind: 'int', bits: 64 }),
    column('status', { kind: 'text' }),
    column('price', { kind: 'decimal' }, { tolerance: { numeric: '0.1' } }),
    column('seats', { kind: 'int', bits: 64 }),
    column('at', { kind: 'timestamp', fraction: 6 }),
    column('touched', { kind: 'text' }, { tolerance: { any: true } }),
  ],
};
const seats = 3;
/** A column that each side keeps for itself. */
const touched = 5;
const where = 'w';

const among = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const row: fc.Arbitrary<Row> = fc
  .tuple(
    among('a', 'b', 'c', null),
    among('1', '1.05', '1.1', '2', null),
    among('3', '4', '5', '10', null),
    among('2026-01-01 00:00:00', '2026-01-01 00:00:01', '2026-01-02 00:00:00', null),
    among('x', 'y', null),
  )
  .map((cells) => ['1', ...cells] as Row);
const maybe = fc.option(row, { freq: 4 });
const threeWays: fc.Arbitrary<ThreeWay> = fc
  .tuple(fc.option(fc.tuple(row, row, fc.boolean()), { freq: 5 }), maybe, maybe, fc.nat(3))
  .map(([agreed, s, t, quiet]) => {
    // What was agreed may differ between the sides only as the tolerance allows.
    const loose = agreed?.[0].map((cell, i) => (equal(i, cell, agreed[1][i]!) ? agreed[1][i]! : cell));
    const base: BaseRow | null = agreed && { source: agreed[0], target: loose!, at: 0, run: 'r' };
    const unchanged = (side: Side, shown: Row | null): Row | null => (base === null ? shown : (base[side] as Row));
    return {
      key: ['1'] as unknown as Row,
      base,
      source: quiet === 1 ? unchanged('source', s) : s,
      target: quiet === 2 ? unchanged('target', t) : t,
    };
  });

const side = among<Side>('source', 'target');
const rules: fc.Arbitrary<PolicyRule> = fc.oneof(
  fc
    .shuffledSubarray(['a', 'b', 'c', null], { minLength: 2 })
    .map((values): PolicyRule => ({ kind: 'prefer', column: 'status', values, where })),
  among<'max' | 'min' | 'sum'>('max', 'min', 'sum').map(
    (take): PolicyRule => ({ kind: 'take', take, column: 'seats', where }),
  ),
  among<'max' | 'min'>('max', 'min').map((take): PolicyRule => ({ kind: 'take', take, column: 'price', where })),
  fc.constant<PolicyRule>({
    kind: 'transitions',
    column: 'status',
    transitions: new Map([
      ['a', ['b']],
      ['b', ['c']],
    ]),
    where,
  }),
);
const steps: fc.Arbitrary<readonly PolicyStep[]> = fc.array(
  fc.oneof(
    side.map((s): PolicyStep => ({ kind: 'prefer', side: s, where })),
    fc.constant<PolicyStep>({ kind: 'manual', where }),
    fc.array(rules, { minLength: 1, maxLength: 3 }).map((r): PolicyStep => ({ kind: 'rules', rules: r, where })),
    fc
      .tuple(among(0, 1000), side)
      .map(
        ([skewMs, ties]): PolicyStep => ({ kind: 'last_write_wins', newest: { source: 'at' }, skewMs, ties, where }),
      ),
    among<Side | 'ask' | undefined>('source', 'target', 'ask', undefined).map(
      (says): PolicyStep => ({ kind: 'function', decide: () => says, where }),
    ),
  ),
  { maxLength: 3 },
);
const policies: fc.Arbitrary<ConflictPolicy> = fc
  .record({
    steps,
    on: fc.record(
      { insert_insert: steps, update_update: steps, update_delete: steps, delete_update: steps },
      { requiredKeys: [] },
    ),
    columns: fc.record(
      {
        status: side.map((owner) => ({ owner, where })),
        price: steps.map((s) => ({ steps: s, where })),
      },
      { requiredKeys: [] },
    ),
    scope: among<'row' | 'column'>('row', 'column'),
    atomic: fc.boolean(),
    where: fc.constant(where),
    // Refused by the configuration: an atomic row has one winner.
  })
  .map((p) => (p.atomic ? { ...p, columns: {} } : p)) as fc.Arbitrary<ConflictPolicy>;
const writing = among(
  { source: true, target: true },
  { source: true, target: true },
  { source: false, target: true },
  { source: true, target: false },
);

const equal = (i: number, a: Cell, b: Cell): boolean => {
  const { tolerance } = pair.columns[i]!;
  return a === b || (tolerance !== undefined && within(tolerance, a, b));
};
const decide = (three: ThreeWay, policy: ConflictPolicy, writes: Readonly<Record<Side, boolean>>): TwoWayDecision =>
  twoWayResolver({ pair, policy, writes, same: (_, known, cell) => known === cell })(three);
const sides = ['source', 'target'] as const;
const other = (s: Side): Side => (s === 'source' ? 'target' : 'source');

const check = (law: (three: ThreeWay, policy: ConflictPolicy, writes: Readonly<Record<Side, boolean>>) => void): void =>
  fc.assert(fc.property(threeWays, policies, writing, law), { numRuns: 4000 });

/** The value that a counter must have when each side's share counts. */
const total = ({ base, source, target }: ThreeWay): Cell => {
  const [b, s, t] = [base!.target, source!, target!].map((r) => BigInt(r[seats] as string));
  return String(s! + t! - b!) as Cell;
};

test('no edit disappears without a ruling that names it', () => {
  const kinds = new Map<string, number>();
  check((three, policy, writes) => {
    const d = decide(three, policy, writes);
    kinds.set(d.kind, (kinds.get(d.kind) ?? 0) + 1);
    if (d.kind === 'ask' || d.kind === 'both') return;
    const { base, source, target } = three;
    const ruling = d.kind === 'settled' ? d.ruling : undefined;
    for (const s of sides) {
      const shown = three[s];
      // A side that is not written keeps what it shows.
      const result = d.kind === 'settled' ? d.result : shown;
      if (shown === null) {
        if (base !== null && result !== null) assert.ok(ruling, `the ${s}’s deletion is undone`);
        continue;
      }
      const edited = shown.flatMap((cell, i) => (i === touched || (base !== null && base[s][i] === cell) ? [] : [i]));
      if (result === null) {
        if (edited.length > 0) assert.ok(ruling, `the ${s}’s row disappears`);
        continue;
      }
      for (const i of edited)
        if (!equal(i, result[i]!, shown[i]!))
          assert.ok(ruling && (ruling.columns.includes(i) || ruling.columns.length === 0), `${s} ${i}`);
    }
    // An agreement is one: on what is written, both show the same, or what they were let differ in.
    if (d.kind === 'agreed' && source !== null && target !== null)
      for (let i = 0; i < source.length; i++)
        if (!equal(i, source[i]!, target[i]!)) {
          assert.ok(!writes.source || !writes.target, `agreed and differing in ${i}`);
          const authority: Side = writes.source ? 'target' : 'source';
          assert.ok(base !== null && base[authority][i] === three[authority]?.[i], `an edit of ${i} is left behind`);
        }
  });
  assert.deepEqual([...kinds.keys()].sort(), ['agreed', 'ask', 'settled']);
});

test('every cell of a result is one that a side shows, or what a counter adds up to', () => {
  check((three, policy, writes) => {
    const d = decide(three, policy, writes);
    if (d.kind !== 'settled' || d.result === null) return;
    d.result.forEach((cell, i) => {
      if (three.source?.[i] === cell || three.target?.[i] === cell) return;
      assert.deepEqual([i, cell], [seats, total(three)]);
    });
  });
});

test('a ruling tells policy, reason and place, and is there only where something was in dispute', () => {
  check((three, policy, writes) => {
    const d = decide(three, policy, writes);
    if (d.kind === 'ask') assert.match(d.reason, /\(w\)/);
    if (d.kind !== 'settled' || d.ruling === undefined) return;
    assert.ok(d.ruling.policy !== '' && d.ruling.reason.includes('(w)'));
    if (writes.source && writes.target && three.base !== null && d.ruling.policy !== 'owner')
      for (const s of sides)
        assert.notDeepEqual(three[s], three.base[s], `the ${s} changed nothing, and yet something was in dispute`);
  });
});

test('what is decided is agreed: the next run finds nothing to do', () => {
  check((three, policy, writes) => {
    const d = decide(three, policy, writes);
    if (d.kind !== 'settled') return;
    const shows = (s: Side): Row | null => {
      if (!writes[s]) return three[s];
      const shown = three[s];
      if (d.result === null || shown === null) return d.result;
      const { columns } = judge(pair.columns, d.result, shown);
      return shown.map((cell, i) => (columns.includes(i) ? d.result![i]! : cell));
    };
    const after = { ...three, source: shows('source'), target: shows('target') };
    // A row that only one side has is not agreed on by a base of two rows.
    if (after.source !== null && after.target !== null) {
      const base: BaseRow = { source: after.source, target: after.target, at: 1, run: 'n' };
      assert.deepEqual(decide({ ...after, base }, policy, writes), { kind: 'agreed' });
    }
    if (writes.source && writes.target) {
      const again = decide(after, policy, writes);
      // Seen with what was agreed before, both sides have added to a counter.
      if (after.source?.[seats] === three.base?.source[seats] || after.source === null)
        assert.deepEqual(again, { kind: 'agreed' });
    }
  });
});

const stepsIn = (p: ConflictPolicy): readonly PolicyStep[] => [
  ...p.steps,
  ...Object.values(p.on).flat(),
  ...Object.values(p.columns).flatMap((c) => ('steps' in c ? c.steps : [])),
];

test('hashes of what was agreed decide as the values do, but for counters', () => {
  const hashed = (cells: readonly unknown[]) => cells.map((c) => (c === null ? null : { hash: `#${c}` }));
  check((three, policy, writes) => {
    const sums = stepsIn(policy).some(
      (step) => step.kind === 'rules' && step.rules.some((r) => r.kind === 'take' && r.take === 'sum'),
    );
    if (three.base === null || sums) return;
    const { source, target } = three.base;
    const decided = twoWayResolver({
      pair,
      policy,
      writes,
      same: (_, known, cell) =>
        (known === null || typeof known === 'string' ? known : known.hash) === (cell && `#${cell}`),
    })({ ...three, base: { ...three.base, source: hashed(source), target: hashed(target) } });
    assert.deepEqual(decided, decide(three, policy, writes));
  });
});

const mirroredStep = (step: PolicyStep): PolicyStep => {
  if (step.kind === 'prefer') return { ...step, side: other(step.side) };
  if (step.kind === 'last_write_wins')
    return { ...step, ties: step.ties === undefined || step.ties === 'manual' ? 'manual' : other(step.ties) };
  if (step.kind !== 'function') return step;
  const says = step.decide(undefined as never);
  return { ...step, decide: () => (says === 'source' || says === 'target' ? other(says) : says) };
};
const mirrored = (p: ConflictPolicy): ConflictPolicy => {
  const all = (s: readonly PolicyStep[]): readonly PolicyStep[] => s.map(mirroredStep);
  const { update_delete: ud, delete_update: du, insert_insert: ii, update_update: uu } = p.on;
  return {
    ...p,
    steps: all(p.steps),
    on: {
      ...(ii && { insert_insert: all(ii) }),
      ...(uu && { update_update: all(uu) }),
      ...(ud && { delete_update: all(ud) }),
      ...(du && { update_delete: all(du) }),
    },
    columns: Object.fromEntries(
      Object.entries(p.columns).map(([name, of]) => [
        name,
        'owner' in of ? { ...of, owner: other(of.owner) } : { ...of, steps: all(of.steps) },
      ]),
    ),
  };
};

test('which side is called the source makes no difference', () => {
  check((three, policy, writes) => {
    const { base, source, target } = three;
    const d = decide(three, policy, writes);
    const turned = decide(
      { ...three, source: target, target: source, base: base && { ...base, source: base.target, target: base.source } },
      mirrored(policy),
      { source: writes.target, target: writes.source },
    );
    assert.equal(turned.kind, d.kind);
    if (d.kind === 'ask' && turned.kind === 'ask') assert.deepEqual(turned.columns, d.columns);
    if (d.kind !== 'settled' || turned.kind !== 'settled') return;
    assert.equal(turned.ruling === undefined, d.ruling === undefined);
    assert.deepEqual(turned.ruling?.columns, d.ruling?.columns);
    if (d.result === null || turned.result === null) assert.equal(turned.result, d.result);
    else d.result.forEach((cell, i) => void assert.ok(equal(i, cell, turned.result![i]!), `column ${i}`));
  });
});
