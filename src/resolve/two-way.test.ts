import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ColumnPair } from '../model/pair.ts';
import { type ConflictPolicy, manualPolicy, type PolicyFunction, type PolicyStep } from '../model/policy.ts';
import type { Cell, Row } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { BaseRow, ThreeWay, TwoWayDecision } from '../model/two-way.ts';
import { twoWayResolver } from './two-way.ts';

const column = (name: string, as: ColumnType, o: Partial<ColumnPair> = {}): ColumnPair => ({
  source: { name, type: as, native: as.kind, nullable: true },
  target: { name: `t_${name}`, type: as, native: as.kind, nullable: true },
  as,
  ...o,
});

const int: ColumnType = { kind: 'int', bits: 64 };
const pair = {
  name: 'public.subscriptions',
  keyWidth: 1,
  columns: [
    column('id', int),
    column('status', { kind: 'text' }),
    column('price', { kind: 'decimal' }, { tolerance: { numeric: '0.01' } }),
    column('seats', int),
    column('updated_at', { kind: 'timestamp', fraction: 6 }),
  ],
};

const row = (text: string | null): Row | null =>
  text === null ? null : (text.split('|').map((c) => (c === '-' ? null : c)) as Row);
const base = (text: string | null, target = text): BaseRow | null =>
  text === null ? null : { source: row(text)!, target: row(target)!, at: 0, run: 'r' };
const text = (cells: readonly Cell[] | null): string | null => cells?.map((c) => c ?? '-').join('|') ?? null;

const where = 'syncs.s.pairs[0].conflict';
const policy = (steps: readonly PolicyStep[], o: Partial<ConflictPolicy> = {}): ConflictPolicy => ({
  ...manualPolicy(where),
  steps,
  ...o,
});
const newest = (o: { skewMs?: number; ties?: 'source' | 'target' | 'manual' } = {}): PolicyStep => ({
  kind: 'last_write_wins',
  newest: { source: 'updated_at' },
  skewMs: 0,
  where,
  ...o,
});
const prefer = (side: 'source' | 'target'): PolicyStep => ({ kind: 'prefer', side, where });
const status: PolicyStep = {
  kind: 'rules',
  where,
  rules: [
    {
      kind: 'prefer',
      column: 'status',
      values: ['active', 'trialing', 'inactive'],
      where: `${where}.rules[0] (l.yaml:41)`,
    },
  ],
};
const sum: PolicyStep = {
  kind: 'rules',
  where,
  rules: [{ kind: 'take', take: 'sum', column: 'seats', where: `${where}.rules[1]` }],
};

const decide = (
  [b, s, t]: readonly [string | BaseRow | null, string | null, string | null],
  p: ConflictPolicy = policy([]),
  writes = { source: true, target: true },
): TwoWayDecision => {
  const three: ThreeWay = {
    key: row('1')!,
    base: typeof b === 'string' || b === null ? base(b) : b,
    source: row(s),
    target: row(t),
  };
  return twoWayResolver({ pair, policy: p, writes, same: (_, known, cell) => known === cell })(three);
};

const settled = (d: TwoWayDecision): string | null => {
  assert.equal(d.kind, 'settled', JSON.stringify(d));
  return text((d as Extract<TwoWayDecision, { kind: 'settled' }>).result);
};
const rulingOf = (d: TwoWayDecision) => ('ruling' in d ? d.ruling : undefined);
const asked = (d: TwoWayDecision) => {
  assert.equal(d.kind, 'ask', JSON.stringify(d));
  return d as Extract<TwoWayDecision, { kind: 'ask' }>;
};
const oneWay = { source: false, target: true };
const old = '1|active|10|5|2026-01-01 00:00:00';

test('what one side did goes to the other: changed, inserted, deleted', () => {
  const changed = '1|inactive|10|5|2026-01-02 00:00:00';
  for (const rows of [
    [old, changed, old],
    [old, old, changed],
    [null, changed, null],
    [null, null, changed],
  ] as const) {
    const d = decide(rows);
    assert.equal(settled(d), changed);
    assert.equal(rulingOf(d), undefined);
  }
  assert.equal(settled(decide([old, null, old])), null);
  assert.equal(settled(decide([old, old, null])), null);
});

test('what both did alike is agreed, at first contact too', () => {
  const changed = '1|inactive|10|5|-';
  assert.deepEqual(decide([old, changed, changed]), { kind: 'agreed' });
  assert.deepEqual(decide([null, changed, changed]), { kind: 'agreed' });
  assert.deepEqual(decide([old, null, null]), { kind: 'agreed' });
});

test('different columns are merged', () => {
  const d = decide([old, '1|inactive|10|5|2026-01-01 00:00:00', '1|active|12.5|5|2026-01-01 00:00:00']);
  assert.equal(settled(d), '1|inactive|12.5|5|2026-01-01 00:00:00');
  assert.equal(rulingOf(d), undefined);
});

test('what a tolerance covers is no change: nothing is in dispute and nothing has to be written', () => {
  assert.deepEqual(decide([old, '1|active|10.005|5|2026-01-01 00:00:00', old]), { kind: 'agreed' });
  const both = decide([old, '1|active|11|5|2026-01-01 00:00:00', '1|active|11.01|5|2026-01-01 00:00:00']);
  assert.deepEqual(both, { kind: 'agreed' });
  // Compared with the other side, never with the past: the sides cannot drift apart.
  const drifted = base('1|active|10|5|-', '1|active|10.01|5|-');
  assert.equal(settled(decide([drifted, '1|active|9.995|5|-', '1|active|10.01|5|-'])), '1|active|9.995|5|-');
  // One side's change beyond the tolerance goes on, whatever text the other has.
  const merged = decide([drifted, '1|active|10|6|-', '1|active|10.01|5|-']);
  assert.equal(settled(merged), '1|active|10|6|-');
});

test('a column that both changed waits for a person, who is told which', () => {
  const d = asked(decide([old, '1|inactive|10|5|-', '1|canceled|10|6|2026-01-01 00:00:00']));
  assert.deepEqual([d.type, d.columns], ['update_update', [1]]);
  assert.match(d.reason, /both sides changed status: no policy says what counts \(syncs\.s\.pairs\[0\]\.conflict\)/);
});

test('first contact: unequal rows go by the policy, or to a person', () => {
  const s = '1|active|10|5|2026-01-02 00:00:00';
  const t = '1|inactive|11|5|2026-01-03 00:00:00';
  assert.deepEqual(
    [asked(decide([null, s, t])).type, asked(decide([null, s, t])).columns],
    ['insert_insert', [1, 2, 4]],
  );
  const d = decide([null, s, t], policy([newest()]));
  assert.equal(settled(d), t);
  assert.deepEqual(rulingOf(d)?.columns, [1, 2, 4]);
});

test('an edit against a deletion waits, whatever is preferred of values, unless it is said of deletions', () => {
  const edited = '1|inactive|10|5|-';
  for (const p of [policy([]), policy([prefer('source')]), policy([newest()]), policy([status])]) {
    assert.equal(asked(decide([old, edited, null], p)).type, 'update_delete');
    assert.equal(asked(decide([old, null, edited], p)).type, 'delete_update');
  }
  const keep = policy([], { on: { update_delete: [prefer('source')], delete_update: [prefer('target')] } });
  assert.equal(settled(decide([old, edited, null], keep)), edited);
  assert.equal(settled(decide([old, null, edited], keep)), edited);
  const drop = policy([], { on: { update_delete: [prefer('target')] } });
  const dropped = decide([old, edited, null], drop);
  assert.equal(settled(dropped), null);
  assert.deepEqual(rulingOf(dropped), {
    type: 'update_delete',
    columns: [],
    policy: 'prefer target',
    reason: `the target’s deletion counts (${where})`,
  });
});

test('the later write wins: ties are the target’s, skewed and unknown times a person’s', () => {
  const s = (at: string) => `1|a|10|5|${at}`;
  const t = (at: string) => `1|b|10|5|${at}`;
  const who = (a: string, b: string, o = {}) => {
    const d = decide([old, s(a), t(b)], policy([newest(o)]));
    return d.kind === 'ask' ? 'ask' : settled(d)!.split('|')[1];
  };
  assert.equal(who('2026-01-02 00:00:00.000001', '2026-01-02 00:00:00'), 'a');
  assert.equal(who('2026-01-02 00:00:00', 'infinity'), 'b');
  assert.equal(who('2026-01-02 00:00:00', '2026-01-02 00:00:00'), 'b');
  assert.equal(who('2026-01-02 00:00:00', '2026-01-02 00:00:00', { ties: 'source' }), 'a');
  assert.equal(who('2026-01-02 00:00:00', '2026-01-02 00:00:00', { ties: 'manual' }), 'ask');
  assert.equal(who('2026-01-02 00:00:05', '2026-01-02 00:00:00', { skewMs: 5000 }), 'ask');
  assert.equal(who('2026-01-02 00:00:05.1', '2026-01-02 00:00:00', { skewMs: 5000 }), 'a');
  assert.equal(who('2026-01-02 00:00:05', '2026-01-02 00:00:00', { skewMs: 5000, ties: 'target' }), 'b');
  assert.equal(who('-', '2026-01-02 00:00:00'), 'ask');
  assert.equal(who('2026-01-02 00:00:00', '\udc00tsoon'), 'ask');
  assert.equal(who('2026-01-02 00:00:00', '-', { ties: 'source' }), 'a');
  const near = asked(
    decide([old, s('2026-01-02 00:00:01'), t('2026-01-02 00:00:00')], policy([newest({ skewMs: 2000 })])),
  );
  assert.match(near.reason, /updated_at: both lie within the 2000 ms/);
});

test('a rule that prefers a value decides the disputed columns of the row, or its own; what one side alone did stays', () => {
  const s = '1|inactive|20|5|2026-01-01 00:00:00';
  const t = '1|trialing|30|9|2026-01-01 00:00:00';
  const whole = decide([old, s, t], policy([status]));
  assert.equal(settled(whole), t);
  assert.deepEqual(rulingOf(whole), {
    type: 'update_update',
    columns: [1, 2],
    policy: 'rules',
    reason: `status: trialing beats inactive (${where}.rules[0] (l.yaml:41))`,
  });
  const own = asked(decide([old, s, t], policy([status], { scope: 'column' })));
  assert.deepEqual(own.columns, [1, 2]);
  const both = decide([old, s, t], policy([status, prefer('source')], { scope: 'column' }));
  assert.equal(settled(both), '1|trialing|20|9|2026-01-01 00:00:00');
  assert.equal(rulingOf(both)?.policy, 'prefer source');
  // A value that is not listed is unknown, not worse.
  assert.match(asked(decide([old, '1|x|10|5|-', '1|inactive|10|5|-'], policy([status]))).reason, /prefers neither/);
});

test('a state machine prefers what the other can still become', () => {
  const steps: PolicyStep[] = [
    {
      kind: 'rules',
      where,
      rules: [
        {
          kind: 'transitions',
          column: 'status',
          where,
          transitions: new Map([
            ['trialing', ['active']],
            ['active', ['past_due', 'canceled']],
            ['past_due', ['active', 'canceled']],
          ]),
        },
      ],
    },
  ];
  const of = (a: string, b: string) => {
    const d = decide(['1|x|10|5|-', `1|${a}|10|5|-`, `1|${b}|10|5|-`], policy(steps));
    return d.kind === 'ask' ? 'ask' : settled(d)!.split('|')[1];
  };
  assert.deepEqual([of('trialing', 'active'), of('canceled', 'trialing')], ['active', 'canceled']);
  // Each can become the other, or neither: the machine does not say.
  assert.deepEqual([of('active', 'past_due'), of('canceled', 'unknown'), of('-', 'active')], ['ask', 'ask', 'ask']);
});

test('a counter takes what both sides added, also when they added the same', () => {
  const p = policy([sum]);
  const seats = (b: string | BaseRow, s: string, t: string) =>
    settled(decide([typeof b === 'string' ? `1|a|10|${b}|-` : b, `1|a|10|${s}|-`, `1|a|10|${t}|-`], p))?.split('|')[3];
  assert.equal(seats('10', '13', '15'), '18');
  // 18 was written to the source only, and the target moved on: what is agreed is the target's 15.
  assert.equal(seats('15', '18', '16'), '19');
  assert.equal(seats('10', '13', '13'), '16');
  assert.equal(seats('10', '13', '10'), '13');
  assert.equal(seats('10', '-9007199254740993', '9'), '-9007199254740994');
  assert.match(asked(decide(['1|a|10|-|-', '1|a|10|1|-', '1|a|10|2|-'], p)).reason, /no number/);
  assert.match(asked(decide([null, '1|a|10|1|-', '1|a|10|2|-'], p)).reason, /never agreed/);
  const hashed: BaseRow = { ...base('1|a|10|5|-')!, target: ['1', 'a', '10', { hash: 'h' }, null] as never };
  assert.match(asked(decide([hashed, '1|a|10|6|-', '1|a|10|7|-'], p)).reason, /values: needed/);
});

test('computed columns are computed wherever they stand, and the rest is somebody’s', () => {
  const d = decide([old, '1|inactive|10|7|-', '1|trialing|10|8|-'], policy([status, sum]));
  assert.equal(settled(d), '1|trialing|10|10|-');
  assert.match(rulingOf(d)!.reason, /^seats: what was agreed and the changes of both sides .*; status: trialing beats/);
});

test('max and min', () => {
  const take = (how: 'max' | 'min'): ConflictPolicy =>
    policy([{ kind: 'rules', where, rules: [{ kind: 'take', take: how, column: 'seats', where }] }]);
  assert.equal(settled(decide([null, '1|a|10|9|-', '1|a|10|10|-'], take('max'))), '1|a|10|10|-');
  assert.equal(settled(decide([null, '1|a|10|9|-', '1|a|10|10|-'], take('min'))), '1|a|10|9|-');
  assert.match(asked(decide([null, '1|a|10|-|-', '1|a|10|10|-'], take('min'))).reason, /NULL/);
});

test('a column’s owner overrules the other side, and that is told', () => {
  const p = policy([], { columns: { status: { owner: 'source', where: 'owner (l.yaml:9)' } } });
  const d = decide([old, old, '1|inactive|10|6|2026-01-01 00:00:00'], p);
  assert.equal(settled(d), '1|active|10|6|2026-01-01 00:00:00');
  assert.deepEqual(rulingOf(d), {
    type: 'update_update',
    columns: [1],
    policy: 'owner',
    reason: 'status is the source’s (owner (l.yaml:9))',
  });
  assert.equal(rulingOf(decide([old, '1|inactive|10|5|2026-01-01 00:00:00', old], p)), undefined);
});

test('a policy of a column speaks for it alone', () => {
  const p = policy([prefer('source')], { columns: { status: { steps: [prefer('target')], where } } });
  assert.equal(settled(decide([old, '1|x|11|5|-', '1|y|12|5|-'], p)), '1|y|11|5|-');
});

test('a column that each side keeps for itself is no edit', () => {
  const three = (s: string | null, t: string | null): ThreeWay => ({
    key: row('1')!,
    base: base(old),
    source: row(s),
    target: row(t),
  });
  const columns = pair.columns.map((c, i) => (i === 4 ? { ...c, tolerance: { any: true as const } } : c));
  const resolve = twoWayResolver({
    pair: { ...pair, columns },
    policy: policy([], { atomic: true }),
    writes: { source: true, target: true },
    same: (_, known, cell) => known === cell,
  });
  const touched = '1|active|10|5|2026-01-02 00:00:00';
  assert.deepEqual(resolve(three(touched, old)), { kind: 'agreed' });
  assert.equal(settled(resolve(three(null, touched))), null);
  assert.equal(settled(resolve(three('1|active|11|5|-', touched))), '1|active|11|5|-');
});

test('an atomic row is one thing', () => {
  const p = policy([prefer('target')], { atomic: true });
  const s = '1|inactive|10|5|2026-01-01 00:00:00';
  const t = '1|active|10|9|2026-01-01 00:00:00';
  const d = decide([old, s, t], p);
  assert.equal(settled(d), t);
  assert.deepEqual(rulingOf(d)?.columns, [1, 3]);
  assert.equal(asked(decide([old, s, t], policy([], { atomic: true }))).type, 'update_update');
  assert.equal(settled(decide([old, s, old], policy([], { atomic: true }))), s);
});

test('both are kept: the target’s row gets a key that is always the same', () => {
  const p = policy([{ kind: 'keep_both', newKey: { add: '1000' }, where }]);
  const d = decide([null, '1|a|10|5|-', '1|b|10|5|-'], p);
  assert.equal(d.kind, 'both');
  assert.deepEqual(d.kind === 'both' && [text(d.result), text(d.other)], ['1|a|10|5|-', '1001|b|10|5|-']);
  assert.match(asked(decide([old, '1|a|10|5|-', '1|b|10|5|-'], p)).reason, /only of rows that both sides inserted/);
});

test('a one-way sync: the target’s own edits are in dispute, and the source is never written', () => {
  const own = '1|inactive|10|5|2026-01-01 00:00:00';
  assert.match(asked(decide([old, old, own], policy([]), oneWay)).reason, /the target changed status on its own/);
  const kept = decide([old, old, own], policy([prefer('target')]), oneWay);
  assert.deepEqual([settled(kept), kept.kind === 'settled' && kept.leaves], [own, 'source']);
  assert.equal(settled(decide([old, old, own], policy([prefer('source')]), oneWay)), old);
  // What was let differ stays so, and goes on: only what the source changes since is written.
  const apart = base(old, own);
  assert.deepEqual(decide([apart, old, own], policy([]), oneWay), { kind: 'agreed' });
  const next = decide([apart, '1|active|10|7|2026-01-01 00:00:00', own], policy([]), oneWay);
  assert.equal(settled(next), '1|inactive|10|7|2026-01-01 00:00:00');
  assert.equal(rulingOf(next), undefined);
  // Deleted there on its own, or never from here.
  assert.equal(asked(decide([old, old, null], policy([]), oneWay)).type, 'update_delete');
  assert.match(asked(decide([null, null, own], policy([]), oneWay)).reason, /never agreed/);
  const [stays, goes] = (['target', 'source'] as const).map((side) =>
    policy([], { on: { update_delete: [prefer(side)], delete_update: [prefer(side)] } }),
  );
  assert.deepEqual(decide([null, null, own], stays, oneWay), { kind: 'agreed' });
  assert.equal(settled(decide([null, null, own], goes, oneWay)), null);
  assert.equal(settled(decide([old, null, own], stays, oneWay)), own);
  assert.equal(settled(decide([old, old, null], goes, oneWay)), old);
  // Nothing would remember that the row is to be missing: the next run would bring it back.
  assert.match(asked(decide([old, old, null], stays, oneWay)).reason, /a one-way sync inserts what is missing/);
  assert.equal(settled(decide([old, null, old], policy([]), oneWay)), null);
  assert.equal(settled(decide([null, own, null], policy([]), oneWay)), own);
});

test('a row that was rejected is decided by nobody', () => {
  const invalid = [...row('1|-|-|-|-')!, '{"reasons":["price is negative"],"row":{}}'] as Row;
  const d = twoWayResolver({
    pair,
    policy: policy([prefer('source')]),
    writes: { source: true, target: true },
    same: (_, known, cell) => known === cell,
  })({ key: row('1')!, base: base(old), source: invalid, target: row(old) });
  assert.match(asked(d).reason, /the source’s row is invalid: price is negative/);
});

test('a function decides, gives values, has no opinion, or fails into the inbox', () => {
  const by = (f: PolicyFunction, rest: readonly PolicyStep[] = []) =>
    decide([old, '1|x|20|6|-', '1|y|30|5|-'], policy([{ kind: 'function', decide: f, where }, ...rest]));
  assert.equal(settled(by((c) => (c.source!['seats'] === 6n ? 'target' : 'ask'))), '1|y|30|6|-');
  assert.equal(
    settled(by((c) => ({ row: Object.fromEntries(c.columns.map((n) => [n, n === 'price' ? 25 : 'z'])) }))),
    '1|z|25|6|-',
  );
  assert.equal(settled(by(() => ({ row: null }))), null);
  assert.equal(settled(by(() => undefined, [prefer('source')])), '1|x|20|6|-');
  for (const [f, why] of [
    [() => 'ask', /asks for a person/],
    [
      () => {
        throw new Error('no such plan');
      },
      /the function failed: no such plan/,
    ],
    [() => Promise.resolve('source'), /promise/],
    [() => 'left', /it must give 'source'/],
    [() => ({ row: { status: 'z' } }), /without price/],
    [() => ({ row: { status: 'z', price: 'much' } }), /price is no decimal/],
    [() => ({ row: { status: 'z', price: 1, id: 2 } }), /in the key/],
    [() => ({ row: { status: 'z', price: 1, plan: 2 } }), /no column of the pair/],
    [
      (c: { source: Record<string, unknown> }) => {
        c.source['status'] = 'w';
        return 'source';
      },
      /failed/,
    ],
  ] as unknown as [PolicyFunction, RegExp][])
    assert.match(asked(by(f)).reason, why);
  // Of a deleted row it is asked as well, and sees that it is gone.
  const gone = decide(
    [old, null, '1|y|10|5|-'],
    policy([{ kind: 'function', where, decide: (c) => (c.source === null ? 'source' : 'ask') }]),
  );
  assert.equal(settled(gone), null);
});
