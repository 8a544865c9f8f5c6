import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Row } from '../../src/model/row.ts';
import type { ColumnType } from '../../src/model/schema.ts';
import { hashV, postgresValues, readV, selectV, sqliteValues, tablesOf, type Values, writeV } from './database.ts';
import { common, vectors } from './vectors.ts';

interface Group {
  readonly kind: string;
  readonly type: string;
  readonly table: string;
  /** Places of the vectors: the keys of the rows, the same on every engine. */
  readonly ids: readonly number[];
  readonly cells: readonly (string | null)[];
  readonly literals: readonly string[];
}

/** One table per kind and column type, with a row for each vector. */
const groups = (engine: 'pg' | 'lite'): Group[] => {
  const byType = new Map<
    string,
    { kind: string; type: string; ids: number[]; cells: (string | null)[]; literals: string[] }
  >();
  for (const [id, v] of vectors.entries()) {
    for (const [n, [type, literal]] of v[engine].entries()) {
      const again = v[engine].slice(0, n).filter(([other]) => other === type).length;
      const name = `${v.kind} ${type} ${again}`;
      const group = byType.get(name) ?? { kind: v.kind, type, ids: [], cells: [], literals: [] };
      byType.set(name, group);
      group.ids.push(id);
      group.cells.push(v.cell);
      group.literals.push(literal);
    }
  }
  return [...byType.values()].map((g, i) => ({ ...g, table: `g${i}` }));
};

const fill = async (db: Values, list: readonly Group[]): Promise<void> => {
  for (const g of list) {
    await db.run(`create table ${g.table} (id bigint primary key, v ${g.type})`);
    await db.run(`create table ${g.table}_copy (id bigint primary key, v ${g.type})`);
    await db.run(`insert into ${g.table} values ${g.literals.map((l, i) => `(${g.ids[i]}, ${l})`).join(', ')}`);
  }
};

const pgGroups = groups('pg');
const liteGroups = groups('lite');
let pg: Values;
let lite: Values;
before(async () => {
  pg = await postgresValues();
  lite = await sqliteValues();
  await fill(pg, pgGroups);
  await fill(lite, liteGroups);
});
after(async () => {
  await pg[Symbol.asyncDispose]();
  await lite[Symbol.asyncDispose]();
});

/** CHAR(n) of SQLite is trimmed as CHAR(n) is; every other carrier is read as the kind itself. */
const liteAs = (g: Group, stored: ColumnType): ColumnType => (g.type.startsWith('CHAR') ? stored : common[g.kind]!);

const expected = (g: Group): (string | null)[][] => g.cells.map((cell, i) => [String(g.ids[i]), cell]);

test('the vectors cover what they should', () => {
  assert.ok(pgGroups.length > 50 && liteGroups.length > 15, `${pgGroups.length} and ${liteGroups.length} groups`);
  for (const kind of Object.keys(common))
    assert.ok(pgGroups.some((g) => g.kind === kind) && liteGroups.some((g) => g.kind === kind), kind);
});

for (const g of pgGroups) {
  test(`PostgreSQL renders ${g.kind} in ${g.type} as the golden text`, async () => {
    const table = (await tablesOf(pg)).get(g.table)!;
    // CHAR(36) is text; it carries a uuid when it is compared with one.
    const as = g.kind === 'uuid' ? common['uuid'] : undefined;
    assert.deepEqual(await readV(pg, selectV(table, as)), expected(g));
  });
  test(`PostgreSQL holds what is written to ${g.type} (${g.kind}) as it held the original`, async () => {
    const tables = await tablesOf(pg);
    await writeV(pg, tables.get(`${g.table}_copy`)!, expected(g) as unknown as Row[], pgGroups.indexOf(g));
    assert.deepEqual(await readV(pg, selectV(tables.get(`${g.table}_copy`)!)), expected(g));
    const lossy = g.kind === 'dec' || g.kind === 'f8' || g.kind === 'f4' || g.kind === 'json' || g.type === 'char(36)';
    if (!lossy) assert.deepEqual(await pg.truth(`${g.table}_copy`), await pg.truth(g.table));
  });
}

for (const g of liteGroups) {
  test(`SQLite renders ${g.kind} in ${g.type} as the golden text`, async () => {
    const table = (await tablesOf(lite)).get(g.table)!;
    assert.deepEqual(await readV(lite, selectV(table, liteAs(g, table.columns[1]!.type))), expected(g));
  });
  test(`SQLite holds what is written to ${g.type} (${g.kind}) with the same canonical text`, async () => {
    const tables = await tablesOf(lite);
    const own = await readV(lite, selectV(tables.get(g.table)!));
    const copy = tables.get(`${g.table}_copy`)!;
    await writeV(lite, copy, own, liteGroups.indexOf(g));
    assert.deepEqual(await readV(lite, selectV(copy)), own);
    assert.deepEqual(await readV(lite, selectV(copy, liteAs(g, copy.columns[1]!.type))), expected(g));
  });
}

for (const [kind, as] of Object.entries(common)) {
  test(`${kind}: one canonical text and one row hash on PostgreSQL and SQLite`, async () => {
    const seen = new Map<string, { engine: string; cell: string | null; hash: string }>();
    let shared = 0;
    for (const [db, list] of [
      [pg, pgGroups],
      [lite, liteGroups],
    ] as const) {
      const tables = await tablesOf(db);
      for (const g of list.filter((x) => x.kind === kind && x.type !== 'timetz' && !/^char/i.test(x.type))) {
        const selection = selectV(tables.get(g.table)!, as);
        const rows = await readV(db, selection);
        assert.deepEqual(rows, expected(g), `${g.type} of ${db.engine}`);
        const hashes = await hashV(db, selection);
        for (const [i, row] of rows.entries()) {
          const before = seen.get(row[0]!);
          if (before && kind !== 'json')
            assert.equal(hashes[i], before.hash, `${row[1]} of ${before.engine} and ${g.type} of ${db.engine}`);
          if (before && before.engine !== db.engine) shared++;
          seen.set(row[0]!, { engine: db.engine, cell: row[1]!, hash: hashes[i]! });
        }
      }
    }
    assert.ok(shared > 2, `only ${shared} values are on both engines`);
  });
}
