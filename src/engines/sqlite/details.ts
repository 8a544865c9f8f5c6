import type { ColumnDetails, DefaultValue, IndexDefinition, OtherPart, TableDetails } from '../../model/build.ts';
import { canonical } from '../../model/canon/canonical.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import { LockstepError } from '../../model/errors.ts';
import type { ColumnType, Table } from '../../model/schema.ts';
import { id } from '../sql/quote.ts';
import { findTable } from './catalogue.ts';
import type { Database } from './database.ts';

/** A default as every engine can say it; undefined: only SQLite can. */
const portableDefault = (sql: string, type: ColumnType): DefaultValue | undefined => {
  const bare = sql.replace(/^\((.*)\)$/s, '$1').trim();
  if (/^(current_timestamp|datetime\('now'\))$/i.test(bare)) return { kind: 'now' };
  if (/^(current_date|date\('now'\))$/i.test(bare)) return { kind: 'today' };
  const number = /^[-+]?\d+(?:\.\d+)?$/.exec(bare)?.[0].replace(/^\+/, '');
  const word = /^(true|false)$/i.exec(bare)?.[1]?.toLowerCase();
  const quoted = /^(?:'((?:[^']|'')*)'|"((?:[^"]|"")*)")$/.exec(bare);
  const text = (quoted?.[1]?.replaceAll("''", "'") ?? quoted?.[2]?.replaceAll('""', '"')) as string | undefined;
  const blob = /^x'((?:[0-9a-f]{2})*)'$/i.exec(bare)?.[1];
  const given = type.kind === 'bytes' ? blob : (number ?? word ?? text);
  if (given === undefined) return undefined;
  const cell = canonical(type, given);
  return cell === null || isMisfit(cell) ? undefined : { kind: 'value', cell };
};

/** SQL with what stands in quotes and comments blanked out, every character at its place. */
const blanked = (sql: string): string =>
  sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\//g, (m) =>
    ' '.repeat(m.length),
  );

/** The `check (…)` clauses of a table, as they were written. */
const checksOf = (sql: string): string[] => {
  const plain = blanked(sql);
  const found: string[] = [];
  for (const m of plain.matchAll(/\bcheck\s*\(/gi)) {
    let depth = 0;
    for (let i = m.index + m[0].length - 1; i < plain.length; i++) {
      if (plain[i] === '(') depth++;
      else if (plain[i] === ')' && --depth === 0) {
        found.push(sql.slice(m.index, i + 1));
        break;
      }
    }
  }
  return found;
};

const indexesOf = (db: Database, table: string): { plain: IndexDefinition[]; others: OtherPart[] } => {
  const plain: IndexDefinition[] = [];
  const others: OtherPart[] = [];
  const indexes = db.all('select name, "unique", origin, partial from pragma_index_list(?) order by seq desc', table);
  for (const [index, unique, origin, partial] of indexes) {
    if (origin === 'pk') continue;
    const parts = db.all('select name, coll from pragma_index_xinfo(?) where key = 1 order by seqno', index as string);
    const simple = partial === 0n && parts.every(([name, coll]) => name !== null && coll === 'BINARY');
    if (simple) {
      plain.push({ name: String(index), columns: parts.map(([name]) => String(name)), unique: unique === 1n });
      continue;
    }
    const sql = db.get("select sql from sqlite_schema where type = 'index' and name = ?", index as string)?.[0];
    const definition = typeof sql === 'string' ? sql : `unique (${parts.map(([name]) => name).join(', ')})`;
    const on = /\bon\s+("(?:[^"]|"")*"|\[[^\]]*\]|`[^`]*`|[^\s(]+)\s*\(/i;
    others.push({
      kind: 'index',
      name: String(index),
      definition,
      ...(typeof sql === 'string' ? { again: sql.replace(on, () => 'on {table} (') } : {}),
    });
  }
  return { plain, others };
};

const detailsOf = (db: Database, table: Table): TableDetails => {
  const found = findTable(db, table.name);
  const columns = new Map<string, ColumnDetails>();
  const sql = String(db.get("select sql from sqlite_schema where type = 'table' and name = ?", table.name)?.[0] ?? '');
  const counted = db.get("select count(*) from sqlite_schema where name = 'sqlite_sequence'")![0] === 1n;
  const sequence =
    found.autoincrement && counted
      ? db.get('select seq from sqlite_sequence where name = ?', table.name)?.[0]
      : undefined;
  for (const [name, dflt] of db.all('select name, dflt_value from pragma_table_xinfo(?)', table.name)) {
    const column = table.columns.find((c) => c.name === name);
    if (column === undefined) continue;
    const given = dflt === null || /^null$/i.test(String(dflt)) ? undefined : String(dflt);
    const value = given === undefined ? undefined : portableDefault(given, column.type);
    columns.set(String(name), {
      native: column.native,
      ...(given === undefined ? {} : { defaultSql: given }),
      ...(value !== undefined
        ? { default: value }
        : given === undefined
          ? {}
          : { default: { kind: 'native' as const, engine: 'sqlite', sql: given } }),
      ...(column.serial && typeof sequence === 'bigint' ? { position: sequence + 1n } : {}),
    });
  }
  const { plain, others } = indexesOf(db, table.name);
  const triggers = db.all("select name, sql from sqlite_schema where type = 'trigger' and tbl_name = ?", table.name);
  const checks = checksOf(sql);
  return {
    columns,
    indexes: plain,
    others: [
      ...checks.map(
        (check, i): OtherPart => ({
          kind: 'check',
          name: checks.length === 1 ? table.name : `${table.name} (${i + 1})`,
          definition: check,
          again: check,
        }),
      ),
      ...(found.strict ? [{ kind: 'check' as const, name: 'STRICT', definition: 'types are enforced' }] : []),
      ...(/\bcollate\s+(nocase|rtrim)\b/i.test(blanked(sql))
        ? [{ kind: 'check' as const, name: 'COLLATE', definition: 'comparisons that ignore case or blanks' }]
        : []),
      ...triggers.map(
        ([name, definition]): OtherPart => ({
          kind: 'trigger',
          name: String(name),
          definition: String(definition),
        }),
      ),
      ...others,
    ],
  };
};

/** What tables are made of beyond what comparing needs. */
export const tableDetails = (db: Database, tables: readonly Table[]): readonly TableDetails[] =>
  tables.map((table) => detailsOf(db, table));

/** Runs one definition. A question about foreign keys that finds rows is a failure in their words. */
export const define = (db: Database, sql: string): void => {
  if (!sql.startsWith('select ')) {
    db.exec(sql);
    return;
  }
  const rows = db.all(sql.replace('select 1 from', 'select "table", rowid, parent from'));
  if (rows.length === 0) return;
  const [table, row, parent] = rows[0]!;
  throw new LockstepError(
    'DATABASE',
    `${rows.length} rows of ${id(String(table))} refer to rows of ${id(String(parent))} that are not there (the first has rowid ${row})`,
  );
};
