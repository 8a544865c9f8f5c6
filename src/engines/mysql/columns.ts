import { LockstepError } from '../../model/errors.ts';
import { type TableName, tableLabel } from '../../model/schema.ts';
import type { SelectedColumn, Selection } from '../../model/selected.ts';
import { id, literal } from './quote.ts';
import type { Session, StatementOptions, TextRow } from './session.ts';
import type { ColumnFacts } from './types.ts';

/** Column list of `factsOf`, from `information_schema.columns c` left join `jsonChecks k`. */
export const factColumns = `c.table_name, c.column_name, c.data_type, c.column_type, c.character_set_name, c.collation_name,
  c.character_maximum_length, c.numeric_precision, c.numeric_scale, c.datetime_precision, c.is_nullable, c.extra,
  c.generation_expression, c.column_default`;

export const factsOf = (row: TextRow, jsonText: boolean): ColumnFacts => {
  const [
    ,
    name,
    dataType,
    native,
    charset,
    collation,
    length,
    precision,
    scale,
    fraction,
    nullable,
    extra,
    made,
    given,
  ] = row;
  const number = (text: string | null | undefined): number | undefined => (text == null ? undefined : Number(text));
  const generated = /GENERATED/i.test(extra!) && !/DEFAULT_GENERATED/i.test(extra!) && (made ?? '') !== '';
  return {
    name: name!,
    dataType: dataType!.toLowerCase(),
    native: native!,
    charset: charset ?? undefined,
    collation: collation ?? undefined,
    maxLength: number(length),
    precision: number(precision),
    scale: number(scale),
    fraction: number(fraction) ?? 0,
    nullable: nullable === 'YES',
    extra: extra!,
    generated,
    hasDefault: given != null && given !== 'NULL',
    jsonText,
  };
};

/** `table column` of the columns of a database that MariaDB checks to be JSON. */
export const jsonColumns = async (
  session: Session,
  database: string,
  mariadb: boolean,
  o: StatementOptions,
): Promise<ReadonlySet<string>> => {
  if (!mariadb) return new Set();
  const rows = await session.query(
    `select table_name, check_clause from information_schema.check_constraints
     where constraint_schema = ${literal(database)} and check_clause like 'json_valid(%'`,
    o,
  );
  return new Set(
    rows.flatMap(([table, clause]) => {
      const column = /^json_valid\(`((?:[^`]|``)*)`\)$/.exec(clause!)?.[1];
      return column === undefined ? [] : [jsonName(table!, column.replaceAll('``', '`'))];
    }),
  );
};

export const jsonName = (table: string, column: string): string => JSON.stringify([table, column]);

export type TableFacts = ReadonlyMap<string, ColumnFacts>;

/** Reads the facts of one table's columns. Throws TABLE_NOT_FOUND. */
export const tableFacts = async (
  session: Session,
  table: TableName,
  mariadb: boolean,
  o: StatementOptions,
): Promise<TableFacts> => {
  const database = table.schema ?? session.context.config.database;
  const rows = await session.query(
    `select ${factColumns} from information_schema.columns c
     where c.table_schema = ${literal(database)} and c.table_name = ${literal(table.name)} order by c.ordinal_position`,
    o,
  );
  const own = rows.filter(([name]) => name === table.name);
  if (own.length === 0) {
    throw new LockstepError('TABLE_NOT_FOUND', `${session.context.name}: there is no table ${tableLabel(table)}`, {
      side: session.context.name,
      hint: 'Was it renamed or dropped meanwhile, or is it hidden from this user?',
    });
  }
  const json = await jsonColumns(session, database, mariadb, o);
  return new Map(own.map((row) => [row[1]!, factsOf(row, json.has(jsonName(table.name, row[1]!)))]));
};

/** One selected column, ready to be put into SQL. */
export interface ColumnSql {
  readonly column: SelectedColumn;
  readonly facts: ColumnFacts;
  /** The column itself, quoted and qualified by the relation's alias `t`. */
  readonly raw: string;
}

/** Joins a selection's columns with what the catalogue says of them. Throws COLUMN_NOT_FOUND. */
export const columnsSql = (selection: Selection, facts: TableFacts, side: string): readonly ColumnSql[] =>
  selection.columns.map((column) => {
    const f = facts.get(column.name);
    if (!f) {
      throw new LockstepError(
        'COLUMN_NOT_FOUND',
        `${side}: ${tableLabel(selection.table)} has no column ${column.name}`,
        { side, hint: 'Was it renamed or dropped meanwhile?' },
      );
    }
    return { column, facts: f, raw: `t.${id(column.name)}` };
  });
