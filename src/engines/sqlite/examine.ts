import { isMisfit } from '../../model/canon/misfit.ts';
import { show } from '../../model/canon/show.ts';
import type { Finding } from '../../model/endpoint.ts';
import type { Cell } from '../../model/row.ts';
import type { Table } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import { id, literal } from '../sql/quote.ts';
import { findTable } from './catalogue.ts';
import { rawCell, rawExpressions } from './cells.ts';
import type { Database } from './database.ts';

/** Rows of a table that are looked at for values which are not of their column's type. */
const lookedAt = 200_000;
const shownKeys = 3;

const journal = (db: Database, writable: boolean): Finding => {
  if (db.journal === 'wal')
    return {
      level: 'ok',
      code: 'sqlite_journal',
      message: 'The database is in WAL mode: readers and the writer do not wait for each other.',
    };
  return {
    level: writable ? 'warning' : 'advice',
    code: 'sqlite_journal',
    message: `The database keeps a rollback journal (${db.journal}): while it is compared, nobody can write to it, and a snapshot waits for writers.`,
    fix: 'pragma journal_mode = wal',
  };
};

const keys = (table: Table): Finding[] => {
  const total = table.uniques.filter((u) => u.total);
  if (table.kind !== 'table' || total.length > 0) return [];
  const keyed = table.uniques.some((u) => u.primary);
  return [
    {
      level: 'warning',
      code: keyed ? 'sqlite_null_key' : 'sqlite_no_key',
      message: keyed
        ? `${table.name}: the primary key holds NULL in some rows (SQLite allows it), so rows cannot be told apart by it.`
        : `${table.name} has no key: its rows are compared as a multiset and cannot be changed.`,
      fix: keyed
        ? `select * from ${id(table.name)} where ${table.uniques[0]!.columns.map((c) => `${id(c)} is null`).join(' or ')}`
        : `create unique index … on ${id(table.name)} (…)   -- with the columns declared not null`,
    },
  ];
};

const foreignKeyIndexes = (table: Table): Finding[] =>
  table.foreignKeys
    .filter(
      (fk) => !table.indexes.some((index) => fk.columns.every((c) => index.slice(0, fk.columns.length).includes(c))),
    )
    .map((fk) => ({
      level: 'advice',
      code: 'sqlite_foreign_key_index',
      message: `${table.name} has no index on ${fk.columns.join(', ')}: every delete in ${fk.references.name} reads the whole table.`,
      fix: `create index on ${id(table.name)} (${fk.columns.map(id).join(', ')})`.replace(
        'index on',
        `index ${id(`${table.name}_${fk.columns.join('_')}`)} on`,
      ),
    }));

/** Columns whose cells are not of the declared type, with how many and where. */
const lies = (db: Database, table: Table): Finding[] => {
  if (table.kind !== 'table' || !table.columns.some((c) => c.loose)) return [];
  const key = (table.uniques.find((u) => u.total) ?? table.uniques[0])?.columns ?? [];
  const { columns } = nativeSelection(table, key);
  const odd = columns.map((): { count: number; keys: string[] } => ({ count: 0, keys: [] }));
  const sql = `select ${columns.map((c) => rawExpressions(c.name)).join(', ')} from ${id(table.name)} limit ${lookedAt}`;
  for (const values of db.iterate(sql)) {
    const cellAt = (i: number): Cell => rawCell(columns[i]!, values[2 * i]!, values[2 * i + 1]!, db.encoding);
    for (let i = 0; i < columns.length; i++) {
      // What nobody knows the type of cannot lie.
      if (columns[i]!.loose === undefined || columns[i]!.stored.kind === 'opaque') continue;
      if (!isMisfit(cellAt(i))) continue;
      const seen = odd[i]!;
      seen.count++;
      if (seen.keys.length < shownKeys) {
        seen.keys.push(key.map((_, k) => (cellAt(k) === null ? 'NULL' : show(cellAt(k)!))).join(', '));
      }
    }
  }
  return columns.flatMap((column, i): Finding[] => {
    const { count, keys: where } = odd[i]!;
    if (count === 0) return [];
    const native = table.columns.find((c) => c.name === column.name)!.native;
    return [
      {
        level: 'warning',
        code: 'sqlite_lying_column',
        message: `${table.name}.${column.name} is declared ${native}, but ${count} value(s) are something else${key.length > 0 ? `, e.g. at ${where.map((k) => `(${k})`).join(', ')}` : ''}. They are kept as they are, and equal only to themselves.`,
      },
    ];
  });
};

/** Rows that refer to rows which are not there: SQLite looks at foreign keys only where it is told to. */
const dangling = (db: Database, table: Table): Finding[] => {
  const broken = db.all('select rowid, parent, fkid from pragma_foreign_key_check(?)', table.name);
  return [...Map.groupBy(broken, ([, parent, key]) => `${parent} ${key}`).values()].map((rows): Finding => {
    const [, parent, key] = rows[0]!;
    const columns = table.foreignKeys.find((k) => k.name === `${table.name}_fk${key}`)?.columns ?? [];
    const at = rows.slice(0, shownKeys).flatMap(([row]) => (row === null ? [] : [String(row)]));
    return {
      level: 'warning',
      code: 'sqlite_dangling',
      message: `${table.name} (${columns.join(', ')}): ${rows.length} row(s) refer to rows of ${parent} that are not there${at.length > 0 ? `, e.g. rowid ${at.join(', ')}` : ''}. A copy takes the rows; a database that enforces foreign keys will not take this one.`,
      fix: `select * from pragma_foreign_key_check(${literal(table.name)})`,
    };
  });
};

/** The doctor's findings about the file and the tables that are synced. */
export const examineDatabase = (
  db: Database,
  { tables, writable }: { readonly tables: readonly Table[]; readonly writable: boolean },
): readonly Finding[] => [
  journal(db, writable),
  ...tables.flatMap((table) => {
    const now = findTable(db, table.name).table;
    return [...keys(now), ...foreignKeyIndexes(now), ...dangling(db, now), ...lies(db, now)];
  }),
];
