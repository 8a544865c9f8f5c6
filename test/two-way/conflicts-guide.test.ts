import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { policyOf } from '../../src/config/policy-of.ts';
import type { Row } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';
import type { TwoWayDecision } from '../../src/model/two-way.ts';
import { checkPolicy } from '../../src/resolve/check-policy.ts';
import { twoWayResolver } from '../../src/resolve/two-way.ts';
import { inProcess } from '../cli/in-process.ts';

/** docs/guide/conflicts.md: every case of its tables, decided by the policy that stands above it. */

const page = readFileSync(join(import.meta.dirname, '../../docs/guide/conflicts.md'), 'utf8');
const home = mkdtempSync(join(tmpdir(), 'lockstep-conflicts-'));
after(() => rmSync(home, { recursive: true, force: true }));

const columns: readonly (readonly [name: string, type: ColumnType, usual: string])[] = [
  ['id', { kind: 'int', bits: 64 }, '1'],
  ['status', { kind: 'text' }, 'active'],
  ['price', { kind: 'decimal' }, '10'],
  ['seats', { kind: 'int', bits: 64 }, '5'],
  ['updated_at', { kind: 'timestamp', fraction: 6 }, '2026-01-01 09:00:00'],
];

/** A row as the page writes it: what differs from `from`. */
const rowOf = (text: string, from: Row): Row | null => {
  if (text === 'gone' || text === 'no row') return null;
  const row: (string | null)[] = [...from];
  for (const part of text === 'as agreed' ? [] : text.split(', ')) {
    const [, name, value] = /^(\w+) (.+)$/.exec(part)!;
    const at = columns.findIndex((c) => c[0] === name);
    assert.ok(at > 0, `no column in: ${part}`);
    const time = /^\d\d:\d\d$/.test(value!) ? `${value}:00` : value!;
    row[at] = value === 'NULL' ? null : name === 'updated_at' ? `2026-01-01 ${time}` : value!;
  }
  return row as Row;
};
const usual = columns.map((c) => c[2]) as unknown as Row;

const shown = (d: TwoWayDecision, source: Row | null): unknown => {
  switch (d.kind) {
    case 'ask':
      return 'a person';
    case 'agreed':
      return source;
    case 'both':
      return [d.result, d.other[0]];
    case 'settled':
      return d.result;
  }
};
const promised = (text: string, agreed: Row): unknown => {
  if (text === 'a person') return text;
  const two = /^(.*), and (\d+)$/.exec(text);
  return two ? [rowOf(two[1]!, agreed), two[2]] : rowOf(text, agreed);
};

interface Example {
  readonly yaml: string;
  readonly bothWays: boolean;
  readonly cases: readonly (readonly string[])[];
}
const examples: readonly Example[] = [
  ...page.matchAll(
    /^```yaml\n([\s\S]*?)^```\n\n\| agreed \| source \| target \| (both|target) becomes? \|\n\|.*\n((?:\|.*\n)+)/gm,
  ),
].map(([, yaml, who, rows]) => ({
  yaml: yaml!,
  bothWays: who === 'both',
  cases: rows!
    .trim()
    .split('\n')
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    ),
}));

const endpoints = {
  a: { url: `sqlite:${join(home, 'a.db')}`, writable: true },
  b: { url: `sqlite:${join(home, 'b.db')}`, writable: true },
};
const file = join(home, 'lockstep.yaml');
writeFileSync(
  file,
  JSON.stringify({
    version: 1,
    endpoints,
    syncs: Object.fromEntries(
      examples.map((e, i) => [
        `example${i}`,
        {
          source: 'a',
          target: 'b',
          mode: e.bothWays ? 'two_way' : 'mirror',
          pairs: [{ source: 'subscription', ...(parse(e.yaml) as object) }],
        },
      ]),
    ),
  }),
);

test('every case of the guide is decided as the guide says', async () => {
  assert.equal(examples.length, [...page.matchAll(/^```yaml/gm)].length, 'an example has no cases');
  const config = await loadConfig(file, { cwd: home, env: {} });
  let seen = 0;
  for (const [i, { yaml, bothWays, cases }] of examples.entries()) {
    const sync = config.syncs[`example${i}`]!;
    const { tolerances } = sync.pairs![0]!;
    const pair = {
      name: 'subscription',
      keyWidth: 1,
      columns: columns.map(([name, as]) => {
        const column = { name, type: as, native: as.kind, nullable: true };
        const tolerance = tolerances[name];
        return { source: column, target: column, as, ...(tolerance ? { tolerance } : {}) };
      }),
    };
    const table = { columns: pair.columns.map((c) => c.source) };
    const policy = checkPolicy({ ...pair, source: table, target: table }, policyOf(sync)(pair), { bothWays });
    const resolve = twoWayResolver({
      pair,
      policy,
      writes: { source: bothWays, target: true },
      same: (_, base, cell) => base === cell,
    });
    for (const [agreed, s, t, becomes] of cases) {
      const base = rowOf(agreed!, usual);
      const [source, target] = [s, t].map((text) => rowOf(text!, base ?? usual));
      const decision = resolve({
        key: ['1'] as unknown as Row,
        base: base && { source: base, target: base, at: 0, run: 'r' },
        source: source!,
        target: target!,
      });
      const about = `${yaml}${agreed} | ${s} | ${t} | ${becomes}\n${JSON.stringify(decision)}`;
      // Of a column that each side keeps for itself there is nothing to say.
      const compared = (rows: unknown): unknown =>
        Array.isArray(rows) ? rows.filter((_, n) => !tolerances[columns[n]![0]]?.any) : rows;
      assert.deepEqual(compared(shown(decision, source!)), compared(promised(becomes!, base ?? usual)), about);
      seen++;
    }
  }
  assert.ok(seen >= 35, `saw only ${seen} cases`);
});

test('check says how conflicts are settled, and finds rules that could never speak', async () => {
  const sql = /^```sql\n([\s\S]*?)^```/m.exec(page)![1]!;
  for (const name of ['a.db', 'b.db']) {
    using db = new DatabaseSync(join(home, name));
    db.exec(sql);
  }
  // The first example of the page, and a name that is misspelt.
  const of = (pair: object) => ({
    source: 'a',
    target: 'b',
    mode: 'two_way',
    pairs: [{ source: 'subscription', ...pair }],
  });
  const syncs = {
    first: of(parse(examples[0]!.yaml) as object),
    wrong: of({ conflict: { policy: 'last_write_wins', newest: 'updatd_at' } }),
  };
  const config = join(home, 'check.yaml');
  writeFileSync(config, JSON.stringify({ version: 1, endpoints, syncs }, null, 1));
  const line =
    readFileSync(config, 'utf8')
      .split('\n')
      .findLastIndex((l) => l.includes('last_write_wins')) + 1;
  const done = await inProcess(['check', '--config', config, '--format', 'json'], { cwd: home });
  assert.equal(done.code, 20, done.stdout + done.stderr);
  const findings = JSON.parse(done.stdout).findings as { about: string; code: string; message: string; fix?: string }[];
  assert.match(
    findings.find((f) => f.code === 'conflicts')!.message,
    /settled by rules on seats \(sum\), status, then last_write_wins by updated_at, then a person · price is the source’s/,
  );
  const wrong = findings.find((f) => f.code === 'column_not_found')!;
  assert.equal(wrong.about, 'wrong');
  assert.ok(
    wrong.message.endsWith(`no column updatd_at (syncs.wrong.pairs[0].conflict.policy, check.yaml:${line})`),
    wrong.message,
  );
  assert.equal(wrong.fix, 'Did you mean updated_at?');
});

test('the function of the guide is one', async () => {
  const path = join(home, 'lockstep.config.ts');
  writeFileSync(path, /^```ts\n([\s\S]*?)^```/m.exec(page)![1]!);
  const { syncs } = await loadConfig(path, { cwd: home, env: { BILLING_URL: 'sqlite:a', CRM_URL: 'sqlite:b' } });
  const [ask, otherwise] = syncs['subscriptions']!.pairs![0]!.conflict!.steps;
  assert.ok(ask?.kind === 'function');
  assert.deepEqual([otherwise?.kind, otherwise?.kind === 'prefer' && otherwise.side], ['prefer', 'target']);
  const of = (source: object | null, target: object | null, type = 'update_update', disputed = ['seats']) =>
    ask.decide({ pair: 'subscription', type, key: { id: 1n }, columns: disputed, base: null, source, target } as never);
  assert.deepEqual(
    [
      of({ seats: 101n }, { seats: 7n }),
      of({ seats: 100n }, { seats: 7n }),
      of({ status: 'paused' }, null, 'update_delete', []),
      of(null, { seats: 1n }, 'delete_update', []),
    ],
    ['source', undefined, 'target', 'ask'],
  );
});
