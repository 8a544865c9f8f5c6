import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomSeed } from '../../src/lib/ids.ts';
import { compareAll, sums } from '../diff/tables.ts';
import { type Database, database, directions, type EngineName } from './databases.ts';
import { diffJson } from './diff-json.ts';
import { type KeyKind, keyKinds } from './keys.ts';

/** Keys of every kind, each row with a fate of its own; another turn of the wheel in each direction. */

const fates = ['same', 'different', 'only_in_source', 'same', 'only_in_target'] as const;
const fateOf = (i: number, turn: number) => fates[(i + turn) % fates.length]!;

const fill = async (db: Database<EngineName>, which: 'source' | 'target', turn: number): Promise<void> => {
  if (db.engine === 'postgres')
    await db.run(`
      create extension citext;
      create collation nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      create type mood as enum (${which === 'source' ? `'sad', 'ok', 'happy', 'Sad', 'a b'` : `'a b', 'Sad', 'happy', 'ok', 'sad'`})`);
  for (const kind of keyKinds) {
    const rows = kind.keys.flatMap((sample, i) => {
      const fate = fateOf(i, turn);
      if (fate.startsWith('only') && fate !== `only_in_${which}`) return [];
      return [`(${sample[db.engine]}, ${fate === 'different' && which === 'target' ? `'other'` : `'same'`})`];
    });
    // The order in which rows were written says nothing.
    if (which === 'target') rows.reverse();
    await db.run(`create table "by ${kind.name}" (${kind[db.engine].replace(/,? primary key \(.*/, '')}, v text
      ${/primary key \(.*/.exec(kind[db.engine]) ? `, ${/primary key \(.*/.exec(kind[db.engine])![0]}` : ''});
      insert into "by ${kind.name}" values ${rows.join(', ')}`);
  }
};

const expected = (kind: KeyKind, turn: number): string[] =>
  kind.keys
    .flatMap(({ key }, i) => (fateOf(i, turn) === 'same' ? [] : [JSON.stringify([fateOf(i, turn), ...key])]))
    .sort();

for (const [turn, sides] of directions.entries()) {
  test(`${sides.join(' against ')}: keys of every kind`, async () => {
    await using source = await database(sides[0]);
    await using target = await database(sides[1]);
    await fill(source, 'source', turn);
    await fill(target, 'target', turn);

    const found = await diffJson(source.url, target.url);
    assert.deepEqual(found.coverage, { complete: true, not_compared: [] });
    assert.equal(found.pairs.length, keyKinds.length);
    for (const kind of keyKinds) {
      const label = sides[0] === 'postgres' ? `public.by ${kind.name}` : `by ${kind.name}`;
      const own = found.differences.filter((d) => d.pair === label);
      assert.deepEqual(
        own.map((d) => JSON.stringify([d.kind, ...kind.columns.map((c) => d.key[c])])).sort(),
        expected(kind, turn),
        kind.name,
      );
    }

    await using from = await source.connect('from');
    await using to = await target.connect('to');
    for (const force of sides[0] === sides[1]
      ? (['digest'] as const)
      : ([turn % 2 === 0 ? 'digest' : 'hashes', 'rows'] as const)) {
      const seed = randomSeed();
      const pairs = keyKinds.map((k) => ({ source: `by ${k.name}`, key: k.columns }));
      const { report, differences } = await compareAll(from, to, { force, seed, pairs });
      let at = 0;
      for (const [i, kind] of keyKinds.entries()) {
        const pair = report.pairs[i]!;
        const count = pair.different + pair.only_in_source + pair.only_in_target;
        assert.deepEqual(
          differences
            .slice(at, at + count)
            .map((d) => JSON.stringify([d.kind, ...d.key]))
            .sort(),
          expected(kind, turn),
          `${kind.name} by ${force}, seed ${seed}: ${pair.explain.decision}`,
        );
        assert.deepEqual(sums(pair), [], kind.name);
        at += count;
      }
    }
  });
}

test('keys that only a collation holds for equal are two keys', async () => {
  for (const sides of directions) {
    await using source = await database(sides[0]);
    await using target = await database(sides[1]);
    for (const db of [source, target]) {
      if (db.engine === 'postgres')
        await db.run(`create collation nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`);
      await db.run('create table t (k text collate nocase primary key not null, v text)');
    }
    await source.run(`insert into t values ('Abc', 'x'), ('same', 'x'), ('Z', 'x')`);
    await target.run(`insert into t values ('ABC', 'x'), ('same', 'x'), ('z', 'x')`);
    const found = await diffJson(source.url, target.url);
    assert.deepEqual(
      found.differences.map((d) => [d.kind, d.key['k']]),
      [
        ['only_in_target', 'ABC'],
        ['only_in_source', 'Abc'],
        ['only_in_source', 'Z'],
        ['only_in_target', 'z'],
      ],
      sides.join(' against '),
    );
    for (const force of ['digest', 'rows'] as const) {
      await using from = await source.connect('from');
      await using to = await target.connect('to');
      const { pair } = await compareAll(from, to, { force });
      assert.deepEqual([pair.only_in_source, pair.only_in_target, pair.identical], [2, 2, 1], pair.explain.decision);
    }
  }
});
