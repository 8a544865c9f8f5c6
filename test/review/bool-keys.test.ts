import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { loadEngine } from '../../src/engines/registry.ts';
import { pairSelection } from '../../src/model/selection.ts';
import { alignAll } from '../../src/work/compare.ts';
import { database, directions } from '../acceptance/databases.ts';
import { type Bench, bench, synced } from '../apply/bench.ts';
import { compareAll } from '../diff/tables.ts';

/** A boolean key beside an integer one: PostgreSQL has no least and greatest boolean. */

const { signal } = new AbortController();
let b: Bench;
before(async () => {
  b = await bench();
});
after(() => b[Symbol.asyncDispose]());

const cells = Array.from({ length: 3000 }, (_, i) => i);
const values = (row: (i: number) => string): string => cells.map(row).join(', ');

for (const [from, to] of directions) {
  for (const [left, right] of [
    ['boolean', 'int'],
    ['int', 'boolean'],
    ['boolean', 'boolean'],
  ] as const) {
    const literal = (type: string, i: number): string => (type === 'int' ? String(i) : i === 1 ? 'true' : 'false');

    test(`a ${left} key of ${from} and a ${right} key of ${to} are compared in every way, and their bounds are numbers`, async () => {
      await using source = await database(from);
      await using target = await database(to);
      const table = (type: string): string => `create table t (k ${type} primary key not null, v text);`;
      const many = (type: string): string => (type === 'int' ? `, ${values((i) => `(${i + 2}, 'x')`)}` : '');
      await source.run(
        `${table(left)} insert into t values (${literal(left, 0)}, 'a'), (${literal(left, 1)}, 'b')${many(left)}`,
      );
      await target.run(
        `${table(right)} insert into t values (${literal(right, 0)}, 'a'), (${literal(right, 1)}, 'c')${many(right)}`,
      );
      await using a = await source.connect('a');
      await using z = await target.connect('z');
      for (const force of ['digest', 'hashes', 'rows'] as const) {
        const { pair } = await compareAll(a, z, { force, limit: 10 });
        const n = left === right ? 0 : 3000;
        assert.deepEqual(
          [pair.identical, pair.different, pair.only_in_source, pair.only_in_target],
          [1, 1, left === 'int' ? n : 0, right === 'int' ? n : 0],
          force,
        );
      }
      const { pairs } = await alignAll({ source: a, target: z, signal });
      if (pairs[0]!.columns[0]!.as.kind !== 'int') return;
      for (const [endpoint, side, type] of [
        [a, 'source', left],
        [z, 'target', right],
      ] as const) {
        await using reader = await endpoint.snapshot({ signal });
        const bounds = await reader.keyBounds(pairSelection(pairs[0]!, side), { signal });
        assert.deepEqual(bounds, { min: 0n, max: type === 'int' ? 3001n : 1n });
      }
    });

    test(`a ${left} of ${from} and a ${right} of ${to} as a part of the key are compared and written`, async () => {
      await using source = await database(from);
      await using target = await database(to);
      const table = (type: string): string =>
        `create table t (a int not null, k ${type} not null, v text, primary key (a, k));`;
      const rows = (type: string, v: (i: number) => string): string =>
        `insert into t values ${values((i) => `(${i >> 1}, ${literal(type, i & 1)}, '${v(i)}')`)};`;
      await source.run(table(left) + rows(left, (i) => (i === 77 ? 'new' : `v${i}`)));
      await target.run(
        `${table(right)}${rows(right, (i) => `v${i}`)} delete from t where a = 9 and k = ${literal(right, 1)}`,
      );
      await using a = await source.connect('a');
      const { connect, parse } = (await loadEngine(to))!;
      await using z = await connect(parse(target.url), { name: 'z', writable: true, signal });
      for (const force of ['digest', 'hashes', 'rows'] as const) {
        const { pair } = await compareAll(a, z, { force });
        assert.deepEqual(
          [pair.identical, pair.different, pair.only_in_source, pair.only_in_target],
          [2998, 1, 1, 0],
          force,
        );
      }
      const done = await synced(b.store, { source: a, target: z });
      assert.deepEqual(
        [done.exit, done.sync.verdict, done.sync.applied],
        [0, 'agrees', { insert: 1, update: 1, delete: 0 }],
      );
    });
  }
}
