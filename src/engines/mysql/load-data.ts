import { isMisfit } from '../../model/canon/misfit.ts';
import type { Batch, Cell, Row, Text } from '../../model/row.ts';
import type { TableName } from '../../model/schema.ts';
import type { ColumnSql } from './columns.ts';
import { errorNumber, isRefusal } from './failures.ts';
import { id, tableId } from './quote.ts';
import type { Session, StatementOptions } from './session.ts';
import { isOpaqueBytes } from './types.ts';
import { cellLiteral, misfitText } from './write-sql.ts';

/** Longest line, in UTF-16 units: a larger row goes by a statement of its own. */
export const longestLine = 250_000;

/** What the server says when it, or what stands before it, takes no files from clients. */
const forbidden = new Set([1148, 1235, 2068, 3948, 4166]);

const special = /[\\\t\n\0]/;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\0': '\\0' };

const escaped = (text: string): string =>
  special.test(text) ? text.replace(/[\\\t\n\0]/g, (unit) => escapes[unit]!) : text;

/** How the cells of one column travel. */
interface Field {
  /** In the list of columns: the column, or a variable that `set` makes the column of. */
  readonly into: string;
  readonly set?: string;
  /** Undefined: no column of this type can hold it. */
  text(cell: Text): string | undefined;
}

const fieldOf = (c: ColumnSql, i: number): Field => {
  const column = id(c.column.name);
  const { stored } = c.column;
  const held = (cell: Text): boolean => cellLiteral(c, cell) !== undefined;
  if (stored.kind === 'bytes' || (stored.kind === 'opaque' && isOpaqueBytes(c.facts))) {
    const text = (cell: Text) => (held(cell) ? cell : undefined);
    return { into: `@lockstep_${i}`, set: `${column} = unhex(@lockstep_${i})`, text };
  }
  if (c.facts.dataType === 'bit') {
    const number = stored.kind === 'bool' ? (cell: Text) => (cell === 'true' ? '1' : '0') : bitNumber;
    return {
      into: `@lockstep_${i}`,
      set: `${column} = cast(@lockstep_${i} as unsigned)`,
      text: (cell) => (held(cell) ? number(cell) : undefined),
    };
  }
  // as a text, 0 is the year 2000
  if (c.facts.dataType === 'year')
    return { into: column, text: (cell) => (held(cell) ? cell.padStart(4, '0') : undefined) };
  switch (stored.kind) {
    case 'bool':
      return {
        into: column,
        text: (cell) => (isMisfit(cell) ? misfitText(c, cell) : cell === 'true' ? '1' : '0'),
      };
    case 'int':
    case 'decimal':
    case 'float':
    case 'date':
    case 'timestamp':
    case 'instant':
      return {
        into: column,
        text: (cell) => (isMisfit(cell) ? misfitText(c, cell) : held(cell) ? cell : undefined),
      };
    default:
      return {
        into: column,
        text: (cell) => (isMisfit(cell) ? misfitText(c, cell) : cell.isWellFormed() ? escaped(cell) : undefined),
      };
  }
};

const bitNumber = (cell: Text): string => String(BigInt(cell === '' ? 0 : `0b${cell}`));

/** How rows of a table are loaded as lines of text. */
export interface LoadPlan {
  /** The statement, of the name of the file. */
  sql(file: string): string;
  /** The row as a line; or the place of the cell that its column cannot hold. */
  line(row: readonly Cell[]): string | number;
}

export const loadPlan = (table: TableName, columns: readonly ColumnSql[]): LoadPlan => {
  const fields = columns.map(fieldOf);
  const sets = fields.flatMap((f) => f.set ?? []);
  const list = fields.map((f) => f.into).join(', ');
  return {
    sql: (file) =>
      `load data local infile '${file}' into table ${tableId(table)} character set utf8mb4 fields terminated by '\\t' escaped by '\\\\' lines terminated by '\\n' (${list})${sets.length === 0 ? '' : ` set ${sets.join(', ')}`}`,
    line: (row) => {
      let line = '';
      for (let i = 0; i < fields.length; i++) {
        const cell = row[i]!;
        const text = cell === null ? '\\N' : fields[i]!.text(cell);
        if (text === undefined) return i;
        line += i === 0 ? text : `\t${text}`;
      }
      return `${line}\n`;
    },
  };
};

/**
 * Loads lines inside the open transaction: true, and each of them is a row now, as it was given; or false, and nothing
 * has happened. LOCAL makes warnings of the server's errors, and stores something else or leaves the row out: a
 * statement with any warning is taken back as a whole, and the caller writes its rows in a way that names what is wrong.
 */
export const loadLines = async (
  session: Session,
  plan: LoadPlan,
  lines: readonly string[],
  o: StatementOptions,
): Promise<boolean> => {
  if (!session.loads) return false;
  await session.query('savepoint lockstep_load', o);
  try {
    const { affected, warnings } = await session.load(plan.sql, lines, o);
    if (warnings === 0 && affected === lines.length) return true;
  } catch (error) {
    if (forbidden.has(errorNumber(error) ?? 0)) session.loads = false;
    else if (!isRefusal(error)) throw session.explain(error, o);
  }
  await session.query('rollback to savepoint lockstep_load', o);
  return false;
};

/** The lines of some rows, as long as each can be one. */
export const linesOf = (plan: LoadPlan, rows: Batch<Row>): readonly string[] | undefined => {
  const lines: string[] = [];
  for (const row of rows) {
    const line = plan.line(row);
    if (typeof line === 'number' || line.length > longestLine) return undefined;
    lines.push(line);
  }
  return lines;
};
