import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Database, database, directions, type EngineName } from './databases.ts';
import { diffJson } from './diff-json.ts';
import { type Kind, kinds, type Sample } from './kinds.ts';
import { type Random, random } from './random.ts';

/** Random tables of random kinds against an oracle that holds all rows in maps and knows only what values are worth. */

const tables = 25;
const usable = kinds.filter(
  (k) => k.postgres !== undefined && k.sqlite !== undefined && !['enum', 'citext'].includes(k.name),
);
const fitting = (kind: Kind): Sample[] =>
  kind.samples.filter((s) => s.postgres !== undefined && s.sqlite !== undefined);

interface RandomTable {
  readonly columns: readonly Kind[];
  /** Key -> values. */
  readonly source: ReadonlyMap<number, readonly Sample[]>;
  readonly target: ReadonlyMap<number, readonly Sample[]>;
}

const randomTable = (r: Random): RandomTable => {
  const columns = Array.from({ length: r.int(6) }, () => r.pick(usable));
  const row = (): Sample[] => columns.map((k) => r.pick(fitting(k)));
  const source = new Map<number, Sample[]>();
  for (let i = r.int(40); i > 0; i--) source.set(r.int(60) - 30, row());
  const target = new Map<number, Sample[]>();
  const untouched = r.chance(0.15);
  for (const [key, values] of source) {
    const fate = untouched ? 1 : r.int(10) / 10;
    if (fate < 0.1) continue;
    // Another cell, the neighbour's cell where it fits, another spelling of the same worth, or all as it was.
    const i = r.int(Math.max(1, columns.length));
    const changed = values.map((v, j) => {
      if (j !== i || fate > 0.5) return v;
      if (fate > 0.4) return r.pick(fitting(columns[j]!).filter((s) => s.worth === v.worth));
      return r.pick(fitting(columns[j]!));
    });
    if (fate === 0.3 && columns[0] === columns[1] && changed.length > 1)
      [changed[0], changed[1]] = [changed[1]!, changed[0]!];
    target.set(key, changed);
  }
  if (!untouched) for (let i = r.int(4); i > 0; i--) target.set(40 + r.int(9), row());
  return { columns, source, target };
};

const create = (db: Database<EngineName>, name: string, t: RandomTable, rows: RandomTable['source']): Promise<void> => {
  const columns = t.columns.map((k, i) => `, c${i} ${k[db.engine]}`).join('');
  const values = [...rows].map(([key, cells]) => {
    const literals = cells.map((s, i) =>
      db.engine === 'postgres' ? `, (${s.postgres})::${t.columns[i]!.postgres}` : `, ${s.sqlite}`,
    );
    return `(${key}${literals.join('')})`;
  });
  return db.run(`create table ${name} (id ${db.engine === 'sqlite' ? 'integer' : 'bigint'} primary key${columns});
    ${values.length > 0 ? `insert into ${name} values ${values.join(', ')}` : ''}`);
};

const oracle = ({ source, target }: RandomTable): string[] => {
  const found: string[] = [];
  for (const [key, values] of source) {
    const other = target.get(key);
    const unequal = values.flatMap((v, i) => (other && other[i]!.worth !== v.worth ? [`c${i}`] : []));
    if (other === undefined) found.push(`${key} only_in_source`);
    else if (unequal.length > 0) found.push(`${key} different ${unequal}`);
  }
  for (const key of target.keys()) if (!source.has(key)) found.push(`${key} only_in_target`);
  return found.sort();
};

for (const sides of directions) {
  test(`${tables} random tables: ${sides.join(' against ')}`, async (t) => {
    const r = random();
    t.diagnostic(`LOCKSTEP_TEST_SEED=${r.seed}`);
    await using source = await database(sides[0]);
    await using target = await database(sides[1]);
    const made = Array.from({ length: tables }, () => randomTable(r));
    for (const [i, table] of made.entries()) {
      await create(source, `t${i}`, table, table.source);
      await create(target, `t${i}`, table, table.target);
    }
    const found = await diffJson(source.url, target.url);
    assert.equal(found.pairs.length, tables);
    for (const [i, table] of made.entries()) {
      const label = sides[0] === 'postgres' ? `public.t${i}` : `t${i}`;
      const own = found.differences.filter((d) => d.pair === label);
      assert.deepEqual(
        own
          .map((d) =>
            [d.key['id'], d.kind, ...(d.kind === 'different' ? [d.cells.map((c) => c.column)] : [])].join(' '),
          )
          .sort(),
        oracle(table),
        `${label}: ${table.columns.map((k) => k.name)}`,
      );
    }
    assert.ok(found.differences.length > tables);
  });
}
