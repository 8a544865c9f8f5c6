import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomSeed } from '../../src/lib/ids.ts';
import { compareAll, sums } from '../diff/tables.ts';
import { type Database, database, directions, type EngineName, quotedName } from './databases.ts';
import { diffJson } from './diff-json.ts';
import { type Kind, kinds, type Sample } from './kinds.ts';

/**
 * Every value of a kind against every other one, in rows that keep each column's sum: the row of (x, y) stands beside
 * the row of (y, x), and two columns exchange their values. Whatever is of another worth is a difference, nothing else.
 */

interface Row {
  readonly source: readonly [Sample, Sample];
  readonly target: readonly [Sample, Sample];
}

const decisions = { digest: /digests by/, hashes: /row hashes of all rows/, rows: /values are merged/ };

type Sides = readonly [EngineName, EngineName];

const kindsOf = ([a, b]: Sides): Kind[] => kinds.filter((k) => k[a] !== undefined && k[b] !== undefined);

/** Names of tables that need quotes everywhere. */
const tableOf = (kind: Kind): string => `Of "${kind.name}"; é 😀`;

const rowsOf = (kind: Kind, [a, b]: Sides): Row[] => {
  const here = kind.samples.filter((s) => s[a] !== undefined);
  const there = kind.samples.filter((s) => s[b] !== undefined);
  const both = here.filter((s) => s[b] !== undefined);
  const none = kind.samples[0]!;
  return [
    ...here.flatMap((x) => there.map((y): Row => ({ source: [x, none], target: [y, none] }))),
    ...both.flatMap((x, i) => both.slice(i + 1).map((y): Row => ({ source: [x, y], target: [y, x] }))),
  ];
};

/** One row of the table that holds all kinds side by side: all its cells are NULL but those of one kind. */
interface WideRow {
  readonly kind: Kind;
  readonly row: Row;
}
/** Which JSON has a row hash that two engines share; a table with another would be merged by values whatever is asked. */
const hashedAlike = (sides: Sides, { name }: Kind): boolean =>
  sides[0] === sides[1] ||
  !name.startsWith('json') ||
  (name === 'jsonb' && sides.every((side) => side === 'postgres' || side === 'sqlite'));
const wideKinds = (sides: Sides): Kind[] => kindsOf(sides).filter((k) => hashedAlike(sides, k));
const wideRows = (sides: Sides): WideRow[] =>
  wideKinds(sides).flatMap((kind) => rowsOf(kind, sides).map((row) => ({ kind, row })));
const wide = 'All kinds';

const fill = async (db: Database<EngineName>, which: 'source' | 'target', sides: Sides): Promise<void> => {
  const { engine } = db;
  const labels = ['sad', 'ok', 'happy', 'Sad', 'very happy'].map((l) => `'${l}'`);
  if (engine === 'postgres')
    await db.run(`
      create extension citext;
      create type place as (name text, number int);
      create domain posint as bigint check (value >= 0);
      create type mood as enum (${(which === 'source' ? labels : labels.toReversed()).join(', ')})`);
  const id = engine === 'sqlite' ? 'id integer primary key' : 'id bigint primary key';
  const cells = (kind: Kind, row: Row): string =>
    row[which].map((s) => (engine === 'postgres' ? `(${s.postgres})::${kind.postgres}` : s.sqlite)).join(', ');
  const compared = kindsOf(sides);
  const script: string[] = [];
  for (const kind of compared) {
    const name = quotedName(tableOf(kind));
    script.push(`create table ${name} (${id}, a ${kind[engine]}, b ${kind[engine]})`);
    const values = rowsOf(kind, sides).map((row, i) => `(${i}, ${cells(kind, row)})`);
    script.push(`insert into ${name} values ${values.join(', ')}`);
  }
  const columns = wideKinds(sides).flatMap((k) =>
    ['a', 'b'].map((c) => `${quotedName(`${k.name} ${c}`)} ${k[engine]}`),
  );
  script.push(`create table "${wide}" (${id}, ${columns.join(', ')})`);
  let at = 0;
  for (const kind of wideKinds(sides)) {
    const name = quotedName(tableOf(kind));
    const own = ['a', 'b'].map((c) => quotedName(`${kind.name} ${c}`));
    script.push(`insert into "${wide}" (id, ${own.join(', ')}) select id + ${at}, a, b from ${name}`);
    at += rowsOf(kind, sides).length;
  }
  await db.run(`begin; ${script.join(';\n')}; commit`);
  if (engine === 'postgres') await db.run('analyze');
};

/** The columns of a row that differ. */
const unequal = ({ source, target }: Row): string[] =>
  ['a', 'b'].filter((_, c) => source[c]!.worth !== target[c]!.worth);

for (const sides of directions) {
  test(`${sides.join(' against ')}: each value against each other value of its kind`, async () => {
    await using source = await database(sides[0]);
    await using target = await database(sides[1]);
    await fill(source, 'source', sides);
    await fill(target, 'target', sides);
    const compared = kindsOf(sides);
    assert.ok(compared.length >= 15);

    const found = await diffJson(source.url, target.url, '--exclude-table', wide);
    assert.equal(found.verdict, 'differs');
    assert.deepEqual(found.coverage, { complete: true, not_compared: [] });
    assert.equal(found.pairs.length, compared.length);
    for (const kind of compared) {
      const label = sides[0] === 'postgres' ? `public.${tableOf(kind)}` : tableOf(kind);
      const own = found.differences.filter((d) => d.pair === label);
      const rows = rowsOf(kind, sides);
      const expected = rows.flatMap((row, i) => {
        const columns = unequal(row);
        return columns.length > 0 ? [`${i} ${columns}`] : [];
      });
      assert.ok(expected.length > 0, kind.name);
      assert.deepEqual(
        own.map((d) => `${d.key['id']} ${d.cells.map((c) => c.column)}`),
        expected,
        kind.name,
      );
      // What is shown tells apart what is of another worth, and shows the same for the same.
      const shown = new Map<string | null, string>();
      for (const d of own)
        for (const cell of d.cells)
          for (const side of ['source', 'target'] as const) {
            const { worth } = rows[Number(d.key['id'])]![side][cell.column === 'a' ? 0 : 1]!;
            assert.equal(shown.get(cell[side]!) ?? worth, worth, `${kind.name}: ${cell[side]}`);
            shown.set(cell[side]!, worth);
          }
      assert.equal(shown.size, new Set(shown.values()).size, `${kind.name}: one worth has two forms`);
    }

    await using from = await source.connect('from');
    await using to = await target.connect('to');
    const expected = wideRows(sides).flatMap(({ kind, row }, i) => {
      const columns = unequal(row);
      return columns.length > 0 ? [`${i} ${columns.map((c) => `${kind.name} ${c}`)}`] : [];
    });
    for (const force of ['digest', 'hashes', 'rows'] as const) {
      const seed = randomSeed();
      const { differences, pair } = await compareAll(from, to, { force, seed, pairs: [{ source: wide }] });
      const names = ['id', ...wideKinds(sides).flatMap((k) => ['a', 'b'].map((c) => `${k.name} ${c}`))];
      assert.deepEqual(
        differences.map((d) => `${d.key[0]} ${d.kind === 'different' ? d.columns.map((i) => names[i]) : d.kind}`),
        expected,
        `by ${force}, seed ${seed}: ${pair.explain.decision}`,
      );
      assert.deepEqual(sums(pair), []);
      assert.deepEqual(pair.not_compared, []);
      assert.match(pair.explain.decision, decisions[force]);
    }
  });
}
