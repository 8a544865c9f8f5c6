import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { LockstepError } from '../model/errors.ts';
import type { PolicyStep } from '../model/policy.ts';
import { loadConfig } from './load.ts';
import { policyOf } from './policy-of.ts';

const home = mkdtempSync(join(tmpdir(), 'lockstep-conflict-'));
after(() => rmSync(home, { recursive: true, force: true }));

const endpoints =
  'endpoints:\n  a: { url: "sqlite:a.db", writable: true }\n  b: { url: "sqlite:b.db", writable: true }\n';
/** The sync stands from line 6 on. */
const load = async (sync: string, head = endpoints, file = 'c.yaml') => {
  const path = join(home, file);
  writeFileSync(path, file.endsWith('.yaml') ? `version: 1\n${head}syncs:\n${sync}\n` : sync);
  const config = await loadConfig(path, { cwd: home, env: { SKEW: '3s' } });
  return config.syncs['s']!;
};
const pairOf = async (pair: string, mode = 'two_way') =>
  (await load(`  s:\n    source: a\n    target: b\n    mode: ${mode}\n    pairs:\n      - { source: t, ${pair} }`))
    .pairs![0]!;
const stepsOf = async (conflict: string) => (await pairOf(`conflict: ${conflict}`)).conflict!.steps;
const kinds = (steps: readonly PolicyStep[]) => steps.map((s) => s.kind);
const refused = async (what: Promise<unknown>, message: RegExp, hint?: RegExp): Promise<void> => {
  await assert.rejects(what, (error: LockstepError) => {
    assert.equal(error.code, 'CONFIG', error.stack);
    assert.match(error.message, message);
    if (hint) assert.match(error.hint ?? '', hint);
    assert.match((error.details ?? []).join('\n'), /\^/);
    return true;
  });
};

test('a two-way sync without a word about conflicts asks a person, keeps all values, and knows what flaps', async () => {
  const sync = await load('  s: { source: a, target: b, mode: two_way, pairs: [t] }');
  const policy = {
    steps: [],
    on: {},
    columns: {},
    scope: 'row',
    atomic: false,
    where: 'syncs.s, c.yaml:6',
  };
  assert.deepEqual(sync.conflicts, { policy, archive: 'all', flapping: { writes: 5, withinMs: 600_000 } });
  assert.deepEqual(sync.pairs![0]!.conflict, policy);
  const one = await load('  s: { source: a, target: b, pairs: [t] }');
  assert.deepEqual([one.conflicts, one.pairs![0]!.conflict], [undefined, undefined]);
});

test('the policy of the outside contract', async () => {
  const pair = await pairOf(
    'conflict: { policy: rules, rules: [ { column: status, prefer: [active, trialing, inactive] } ], otherwise: last_write_wins, newest: updated_at }',
    'mirror',
  );
  const at = 'syncs.s.pairs[0].conflict';
  assert.deepEqual(pair.conflict?.steps, [
    {
      kind: 'rules',
      where: `${at}.policy, c.yaml:11`,
      rules: [
        {
          kind: 'prefer',
          column: 'status',
          values: ['active', 'trialing', 'inactive'],
          where: `${at}.rules[0], c.yaml:11`,
        },
      ],
    },
    { kind: 'last_write_wins', newest: { source: 'updated_at' }, skewMs: 0, where: `${at}.otherwise, c.yaml:11` },
  ]);
});

test('a policy of the sync holds for pairs that have none of their own', async () => {
  const sync = await load(
    '  s:\n    source: a\n    target: b\n    conflict: target\n    pairs:\n      - t\n      - { source: u, conflict: manual }\n      - { source: v, columns: { x: { owner: source } } }',
  );
  assert.deepEqual(
    sync.pairs!.map((p) => [kinds(p.conflict!.steps), Object.keys(p.conflict!.columns)]),
    [
      [['prefer'], []],
      [['manual'], []],
      [['prefer'], ['x']],
    ],
  );
  // A one-way sync of which one pair alone has conflicts.
  const some = await load(
    '  s:\n    source: a\n    target: b\n    pairs:\n      - t\n      - { source: u, conflict: manual }',
  );
  assert.deepEqual([some.conflicts?.policy, some.pairs![0]!.conflict], [undefined, undefined]);
});

test('presets and what they need', async () => {
  assert.deepEqual(await stepsOf('{ policy: prefer, side: source }').then((s) => s.map((x) => 'side' in x && x.side)), [
    'source',
  ]);
  const [newest] = await stepsOf(
    '{ policy: last_write_wins, newest: { source: a, target: b }, skew: "${env:SKEW}", ties: source }',
  );
  assert.ok(newest?.kind === 'last_write_wins');
  assert.deepEqual([newest.newest, newest.skewMs, newest.ties], [{ source: 'a', target: 'b' }, 3000, 'source']);
  const [both] = await stepsOf('{ policy: keep_both, new_key: { add: 1000 } }');
  assert.deepEqual(both?.kind === 'keep_both' && both.newKey, { add: '1000' });
  const rules = await stepsOf(
    '{ policy: rules, rules: [ { column: n, take: sum }, { column: s, transitions: { a: [b, 2], b: [] } }, { column: f, prefer: [true, null, 0.1] } ] }',
  );
  assert.ok(rules[0]?.kind === 'rules');
  const [, machine, values] = rules[0].rules;
  assert.deepEqual(machine?.kind === 'transitions' && [...machine.transitions], [
    ['a', ['b', '2']],
    ['b', []],
  ]);
  assert.deepEqual(values?.kind === 'prefer' && values.values, ['true', null, '0.1']);

  await refused(stepsOf('prefer'), /prefer needs side/, /side: source/);
  await refused(stepsOf('{ policy: last_write_wins }'), /needs newest/, /newest: updated_at/);
  await refused(stepsOf('{ policy: manual, otherwise: rules }'), /needs rules/);
  await refused(stepsOf('{ policy: newest }'), /expected one of manual, source, target, prefer/);
  await refused(
    stepsOf('{ policy: manual, newest: updated_at }'),
    /newest: is for last_write_wins, which is not asked/,
  );
  await refused(stepsOf('{ rules: [{ column: s, take: max }] }'), /rules: is for rules/, /policy: rules/);
  await refused(stepsOf('{ policy: manual, scope: column }'), /scope: is for rules/);
  await refused(stepsOf('{ policy: rules, rules: [{ take: max }] }'), /names no column/);
  await refused(stepsOf('{ policy: rules, rules: [{ column: s }] }'), /says nothing/);
  await refused(
    stepsOf('{ policy: rules, rules: [{ column: s, take: max, prefer: [a, b] }] }'),
    /says prefer and take at once/,
  );
  await refused(stepsOf('{ policy: rules, rules: [{ column: s, prefer: [a] }] }'), /at least two values/);
  await refused(stepsOf('{ polcy: manual }'), /unknown key `polcy`/);
});

test('policies by what happened; deletions have words of their own', async () => {
  const { on } = (
    await pairOf(
      'conflict: { policy: manual, newest: at, by_type: { insert_insert: last_write_wins, update_delete: keep_update, delete_update: delete } }',
    )
  ).conflict!;
  assert.deepEqual(kinds(on.insert_insert!), ['last_write_wins']);
  assert.deepEqual(
    [on.update_delete, on.delete_update].map((s) => s![0]!.kind === 'prefer' && s![0]!.side),
    ['source', 'source'],
  );
  await refused(
    stepsOf('{ by_type: { update_delete: last_write_wins } }'),
    /expected one of manual, source, target, keep_update, delete/,
  );
  await refused(stepsOf('{ by_type: { update_update: keep_both } }'), /keep_both is for rows that both sides inserted/);
});

test('columns have owners, or policies of their own', async () => {
  const pair = await pairOf(
    'columns: { a: { owner: source }, b: { owner: each }, c: { conflict: target }, d: { conflict: { policy: rules, rules: [{ take: sum }] } }, e: { tolerance: 0.1 } }',
  );
  assert.deepEqual(Object.keys(pair.conflict!.columns), ['a', 'c', 'd']);
  assert.deepEqual(pair.conflict!.columns['a'], {
    owner: 'source',
    where: 'syncs.s.pairs[0].columns.a.owner, c.yaml:11',
  });
  assert.deepEqual(pair.tolerances, { b: { any: true }, e: { numeric: '0.1' } });
  await refused(pairOf('columns: { a: { owner: source, conflict: manual } }'), /nothing is in conflict/);
  await refused(pairOf('columns: { a: { owner: both } }'), /expected source, target or each/);
  await refused(
    pairOf('columns: { a: { conflict: { policy: rules, rules: [{ column: b, take: max }] } } }'),
    /is a rule of a/,
  );
});

test('an atomic row has one winner', async () => {
  assert.equal((await pairOf('atomic: true')).conflict!.atomic, true);
  await refused(
    pairOf('atomic: true, columns: { a: { owner: source } }'),
    /one winner, and this pair has columns with an owner/,
  );
  await refused(
    pairOf('atomic: true, conflict: { policy: rules, rules: [{ column: n, take: sum }] }'),
    /rules that take a value/,
  );
});

test('what the archive keeps, and how often a key may be written', async () => {
  const sync = (rest: string) => load(`  s: { source: a, target: b, mode: two_way, ${rest} }`);
  const { conflicts } = await sync('archive: { values: none }, flapping: { writes: 3, within: 90s }');
  assert.deepEqual([conflicts?.archive, conflicts?.flapping], ['none', { writes: 3, withinMs: 90_000 }]);
  await refused(
    sync('archive: { values: none }, conflict: { policy: rules, rules: [{ column: n, take: sum }] }'),
    /take: sum of n needs what was agreed/,
    /values: needed/,
  );
  await refused(sync('flapping: { writes: 1 }'), /at least 2/);
  await refused(load('  s: { source: a, target: b, archive: { values: all } }'), /is for syncs that know conflicts/);
});

test('both endpoints of a two-way sync are written', async () => {
  const sync = '  s: { source: a, target: b, mode: two_way }';
  const head = endpoints.replace('"sqlite:a.db", writable: true', '"sqlite:a.db"');
  await refused(load(sync, head), /writes both ways, and endpoint `a` is read-only/, /writable: true/);
  await refused(load('  s: { source: a, target: a, mode: two_way }'), /one endpoint on both sides/);
});

test('what a two-way pair makes of a column can be told back, or is the source’s', async () => {
  for (const [column, why] of [
    ['{ map: { past_due: dunning, late: dunning }, unmapped: quarantine }', /past_due and late both become dunning/],
    ['{ map: { past_due: dunning } }', /dunning is what past_due becomes, and would be kept/],
    ['{ map: { a: b }, otherwise: c }', /does not name become one/],
    ['{ map: { a: null }, unmapped: quarantine }', /a becomes NULL/],
    ['{ expr: "a + 1" }', /result of an expression/],
    ['{ value: 5 }', /a constant/],
    ['{ default: none }', /NULL becomes a value/],
    ['{ lookup: { table: t, by: { id: id }, value: v } }', /looked up/],
  ] as const) {
    await refused(pairOf(`columns: { x: ${column} }`), why, /owner: source/);
    assert.ok(await pairOf(`columns: { x: ${column.replace('{', '{ owner: source,')} }`));
    assert.ok(await pairOf(`columns: { x: ${column} }`, 'mirror'));
  }
  for (const column of [
    '{ map: { past_due: dunning, late: overdue }, unmapped: quarantine }',
    '{ map: { a: b, b: a } }',
    '{ tolerance: 0.01, to: y }',
  ])
    assert.ok(await pairOf(`columns: { x: ${column} }`));
  assert.ok(await pairOf('columns: { x: { map: { a: b } } }, validate: { x: { in: [a, c] } }'));
});

test('a function of the configuration decides', async () => {
  const sync = await load(
    `export default {
      version: 1,
      endpoints: { a: { url: 'sqlite:a.db', writable: true }, b: { url: 'sqlite:b.db', writable: true } },
      syncs: { s: { source: 'a', target: 'b', mode: 'two_way',
        conflict: { policy: (c) => c.columns.length > 1 ? 'ask' : 'source', otherwise: 'manual' },
        pairs: [{ source: 't', conflict: (c) => 'target' }] } },
    };`,
    '',
    'c.config.ts',
  );
  assert.deepEqual(kinds(sync.conflicts!.policy!.steps), ['function', 'manual']);
  const [own] = sync.pairs![0]!.conflict!.steps;
  assert.ok(own?.kind === 'function');
  assert.equal(own.decide({} as never), 'target');
  assert.match(own.where, /^syncs\.s\.pairs\[0\]\.conflict\.policy, c\.config\.ts$/);
});

test('a pair is found by the label of its table, however it is written', async () => {
  const sync = await load(
    '  s:\n    source: a\n    target: b\n    conflict: target\n    pairs:\n      - { source: t, conflict: manual }\n      - { source: old.t, conflict: keep_both }\n      - U',
  );
  const of = (name: string) => kinds(policyOf(sync)({ name }).steps);
  assert.deepEqual([of('public.t'), of('old.t'), of('public.u')], [['manual'], ['keep_both'], ['prefer']]);
  // What knows no conflicts is overwritten, and deleted.
  const some = await load(
    '  s:\n    source: a\n    target: b\n    pairs:\n      - t\n      - { source: u, conflict: manual }',
  );
  const plain = policyOf(some)({ name: 't' });
  assert.deepEqual([kinds(plain.steps), plain.on.delete_update?.[0]], [['prefer'], plain.steps[0]]);
});
