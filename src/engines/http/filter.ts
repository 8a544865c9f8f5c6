import { isMisfit } from '../../model/canon/misfit.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Cell } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import { id } from '../sql/quote.ts';
import { parseJson } from './json.ts';
import { valueAt } from './pointer.ts';
import type { Shape } from './shape.ts';
import type { Spool } from './spool.ts';
import { cellOf } from './values.ts';

/** A cell as a condition sees it: numbers as numbers, flags as 1 and 0, everything else as its canonical text. */
const seen = (type: ColumnType, cell: Cell): string | number | bigint | null => {
  if (cell === null) return null;
  if (isMisfit(cell)) return cell.slice(2);
  switch (type.kind) {
    case 'int': {
      const n = BigInt(cell);
      return BigInt.asIntN(64, n) === n ? n : Number(cell);
    }
    case 'decimal':
    case 'float':
      return Number(cell);
    case 'bool':
      return cell === 'true' ? 1 : 0;
    default:
      return cell;
  }
};

/** Numbers of the spooled items that meet a condition, in SQL of SQLite, over the columns of the resource. */
export const matching = async (
  side: string,
  shape: Shape,
  spool: Spool,
  filter: string,
  signal: AbortSignal,
): Promise<ReadonlySet<number>> => {
  const { db } = spool;
  const name = spool.newTable();
  const label = id(shape.table.name);
  db.exec(
    `create table ${name} (${['lockstep_item integer primary key', ...shape.columns.map((c) => id(c.name))].join(', ')})`,
  );
  const insert = db.prepare(`insert into ${name} values (?${', ?'.repeat(shape.columns.length)})`);
  for await (const chunk of spool.chunks(signal)) {
    db.exec('begin');
    try {
      for (const item of chunk) {
        const value = parseJson(item.json);
        insert.run(item.id, ...shape.columns.map((c) => seen(c.type, cellOf(c, valueAt(value, c.field)))));
      }
    } finally {
      db.exec('commit');
    }
  }
  try {
    db.exec('pragma query_only = on');
    const sql = `select lockstep_item as n from ${name} as ${label} where (${filter})`;
    const statement = db.prepare(sql);
    // SQLite takes the first statement and leaves what follows it.
    if (statement.sourceSQL !== sql) throw new Error('it is more than one condition');
    const rows = statement.all() as { n: number }[];
    return new Set(rows.map(({ n }) => n));
  } catch (error) {
    throw new LockstepError(
      'FILTER',
      `${side}: the condition on ${shape.table.name} was refused: ${(error as Error).message}`,
      {
        side,
        hint: 'Conditions on an API are in SQL of SQLite, over the columns of the resource, and judged here after reading.',
        cause: error,
      },
    );
  } finally {
    db.exec('pragma query_only = off');
    db.exec(`drop table ${name}`);
  }
};
