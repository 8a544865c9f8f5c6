import { LockstepError } from '../../model/errors.ts';
import type { Column, ForeignKey, Schema, Table, UniqueKey } from '../../model/schema.ts';
import { id } from '../sql/quote.ts';
import type { Database } from './database.ts';
import { type Affinity, affinityOf, columnType } from './declared-type.ts';

/** Our own tables: never shown, never compared. */
export const stepsTable = 'lockstep_steps';
export const locksTable = 'lockstep_locks';

/** A table with what only this engine needs to know of it. */
export interface CatalogueTable {
  readonly table: Table;
  readonly strict: boolean;
  /** Views, virtual tables and WITHOUT ROWID tables have none. */
  readonly hasRowid: boolean;
  /** The column that is the rowid itself, if one is. */
  readonly rowidAlias: string | undefined;
  readonly autoincrement: boolean;
  readonly affinities: ReadonlyMap<string, Affinity>;
}

/** How a table's rowid is written in SQL; undefined where there is none or all its names are taken by columns. */
export const rowidName = (t: CatalogueTable): string | undefined => {
  if (!t.hasRowid) return undefined;
  if (t.rowidAlias !== undefined) return id(t.rowidAlias);
  const taken = new Set(t.table.columns.map((c) => c.name.toLowerCase()));
  return ['rowid', '_rowid_', 'oid'].find((name) => !taken.has(name));
};

interface Found {
  readonly name: string;
  readonly type: string;
  readonly withoutRowid: boolean;
  readonly strict: boolean;
}

const listTables = (db: Database): Found[] =>
  db
    .all(
      `select name, type, wr, strict from pragma_table_list
       where schema = 'main' and type in ('table', 'view', 'virtual') and name not like 'sqlite\\_%' escape '\\'
       order by name collate binary`,
    )
    .map(([name, type, wr, strict]) => ({
      name: String(name),
      type: String(type),
      withoutRowid: wr === 1n,
      strict: strict === 1n,
    }))
    .filter((t) => t.name !== stepsTable && t.name !== locksTable);

interface RawColumn {
  readonly name: string;
  readonly declared: string;
  readonly notNull: boolean;
  readonly hasDefault: boolean;
  /** Place in the primary key from 1; 0 outside of it. */
  readonly key: number;
  /** 0 ordinary, 1 hidden, 2 virtual generated, 3 stored generated. */
  readonly hidden: number;
}

const rawColumns = (db: Database, table: string): RawColumn[] =>
  db
    .all('select name, type, "notnull", dflt_value is not null, pk, hidden from pragma_table_xinfo(?)', table)
    .map(([name, type, notNull, hasDefault, key, hidden]) => ({
      name: String(name),
      declared: String(type ?? ''),
      notNull: notNull === 1n,
      hasDefault: hasDefault === 1n,
      key: Number(key),
      hidden: Number(hidden),
    }))
    .filter((c) => c.hidden !== 1);

/** A rowid table's primary key may hold NULL, by an old mistake that SQLite keeps. Most never do. */
const holdsNull = (db: Database, table: string, columns: readonly string[]): boolean =>
  db.get(
    `select exists(select 1 from ${id(table)} where ${columns.map((c) => `${id(c)} is null`).join(' or ')})`,
  )![0] === 1n;

const readUniques = (
  db: Database,
  found: Found,
  columns: readonly RawColumn[],
  rowidAlias: string | undefined,
): { uniques: UniqueKey[]; indexes: string[][] } => {
  const isNotNull = new Set(columns.filter((c) => c.notNull || c.name === rowidAlias).map((c) => c.name));
  const uniques: UniqueKey[] = [];
  const indexes: string[][] = [];
  const primary = columns.filter((c) => c.key > 0).sort((a, b) => a.key - b.key);
  if (primary.length > 0) {
    const names = primary.map((c) => c.name);
    indexes.push(names);
    uniques.push({
      name: `${found.name}_pkey`,
      columns: names,
      primary: true,
      total:
        found.withoutRowid ||
        found.strict ||
        names.every((name) => isNotNull.has(name)) ||
        !holdsNull(db, found.name, names),
    });
  }
  const list = db.all('select name, "unique", origin, partial from pragma_index_list(?) order by seq desc', found.name);
  for (const [index, unique, origin, partial] of list) {
    if (origin === 'pk') continue;
    const parts = db.all('select name from pragma_index_xinfo(?) where key = 1 order by seqno', index as string);
    const names = parts
      .map(([name]) => name)
      .filter((name) => name !== null)
      .map(String);
    const plain = names.length === parts.length;
    if (partial === 0n && names.length > 0 && plain) indexes.push(names);
    if (unique !== 1n) continue;
    uniques.push({
      name: String(index),
      columns: names,
      primary: false,
      total: partial === 0n && plain && names.every((name) => isNotNull.has(name)),
    });
  }
  return { uniques, indexes };
};

/** What a foreign key does to its own rows when the referenced one is deleted or changed; the others refuse it. */
const keyActions: Readonly<Record<string, NonNullable<ForeignKey['onDelete']>>> = {
  CASCADE: 'cascade',
  'SET NULL': 'set_null',
  'SET DEFAULT': 'set_default',
};

/** As SQLite compares names: without regard to the case of ASCII letters. */
const sameName = (a: string, b: string): boolean =>
  a.replace(/[A-Z]/g, (c) => c.toLowerCase()) === b.replace(/[A-Z]/g, (c) => c.toLowerCase());

const readForeignKeys = (db: Database, table: string): ForeignKey[] => {
  const keys = new Map<
    number,
    { to: string; from: string[]; columns: (string | null)[]; restrict: boolean; onDelete: string; onUpdate: string }
  >();
  const list = db.all(
    'select id, "table", "from", "to", on_update, on_delete from pragma_foreign_key_list(?) order by id, seq',
    table,
  );
  for (const [number, to, from, column, onUpdate, onDelete] of list) {
    const key = keys.get(Number(number)) ?? {
      to: String(to),
      from: [],
      columns: [],
      restrict: onUpdate === 'RESTRICT' || onDelete === 'RESTRICT',
      onDelete: String(onDelete),
      onUpdate: String(onUpdate),
    };
    keys.set(Number(number), key);
    key.from.push(String(from));
    key.columns.push(column === null || column === undefined ? null : String(column));
  }
  return [...keys].map(([number, key]) => {
    const columns = rawColumns(db, key.to);
    const primary = columns.filter((c) => c.key > 0).sort((a, b) => a.key - b.key);
    // SQLite takes a reference in any case: here it is spelled as what it refers to.
    const spelled = (name: string): string =>
      columns.find((c) => c.name === name)?.name ?? columns.find((c) => sameName(c.name, name))?.name ?? name;
    const found = db.get(`select name from sqlite_schema where type = 'table' and name = ? collate nocase`, key.to);
    return {
      name: `${table}_fk${number}`,
      columns: key.from,
      references: { name: found === undefined ? key.to : String(found[0]) },
      referencedColumns: key.columns.map((c, i) => (c === null ? (primary[i]?.name ?? key.from[i]!) : spelled(c))),
      // Every writing transaction here defers them; only RESTRICT acts at once all the same.
      deferrable: !key.restrict,
      ...(keyActions[key.onDelete] === undefined ? {} : { onDelete: keyActions[key.onDelete]! }),
      ...(keyActions[key.onUpdate] === undefined ? {} : { onUpdate: keyActions[key.onUpdate]! }),
    };
  });
};

const estimate = (db: Database, table: string, hasRowid: boolean): number | undefined => {
  const analysed = db.get(`select exists(select 1 from sqlite_schema where name = 'sqlite_stat1')`)![0] === 1n;
  if (analysed) {
    const stat = db.get('select max(cast(stat as integer)) from sqlite_stat1 where tbl = ?', table)?.[0];
    if (typeof stat === 'bigint') return Number(stat);
  }
  if (!hasRowid) return undefined;
  const span = db.get(
    `select max(rowid), min(rowid) from (select max(rowid) rowid from ${id(table)} union all select min(rowid) from ${id(table)})`,
  );
  const [max, min] = span ?? [];
  return typeof max === 'bigint' && typeof min === 'bigint' ? Number(max - min + 1n) : 0;
};

const readTable = (db: Database, found: Found): CatalogueTable => {
  const raw = rawColumns(db, found.name);
  const primary = raw.filter((c) => c.key > 0);
  const sql = String(
    db.get("select sql from sqlite_schema where name = ? collate nocase and type = 'table'", found.name)?.[0] ?? '',
  );
  const isTable = found.type === 'table';
  const hasRowid = isTable && !found.withoutRowid;
  // INTEGER PRIMARY KEY is the rowid itself, unless written DESC: then SQLite makes an ordinary index for it.
  const candidate =
    hasRowid && primary.length === 1 && primary[0]!.declared.toUpperCase() === 'INTEGER' ? primary[0]!.name : undefined;
  const hasIndex =
    db.get("select exists(select 1 from pragma_index_list(?) where origin = 'pk')", found.name)![0] === 1n;
  const rowidAlias = hasIndex ? undefined : candidate;
  const columns = raw.map((c): Column => {
    const enforced = c.name === rowidAlias || (found.strict && c.declared.toUpperCase() !== 'ANY');
    const isKey = c.key > 0 && (found.withoutRowid || found.strict);
    return {
      name: c.name,
      type: columnType(c.declared),
      native: c.declared,
      nullable: !(c.notNull || c.name === rowidAlias || isKey),
      ...(enforced ? {} : { loose: true as const }),
      ...(c.hidden >= 2 ? { generated: 'always' as const } : {}),
      ...(c.name === rowidAlias ? { serial: true as const } : {}),
      ...(c.hasDefault ? { hasDefault: true as const } : {}),
    };
  });
  const { uniques, indexes } = isTable ? readUniques(db, found, raw, rowidAlias) : { uniques: [], indexes: [] };
  const rows = isTable ? estimate(db, found.name, hasRowid) : undefined;
  return {
    strict: found.strict,
    hasRowid,
    rowidAlias,
    autoincrement: /\bautoincrement\b/i.test(sql),
    affinities: new Map(raw.map((c) => [c.name, affinityOf(c.declared, found.strict)])),
    table: {
      name: found.name,
      kind: isTable ? 'table' : 'view',
      columns,
      uniques,
      foreignKeys: isTable ? readForeignKeys(db, found.name) : [],
      triggers: db
        .all(
          `select name from sqlite_schema where type = 'trigger' and tbl_name = ? collate nocase order by name`,
          found.name,
        )
        .map(([name]) => String(name)),
      ...(rows === undefined ? {} : { estimatedRows: rows }),
      indexes,
    },
  };
};

export const inspectDatabase = (db: Database): Schema => ({
  tables: listTables(db).map((found) => readTable(db, found).table),
});

/** One table of the catalogue as it is now; throws TABLE_NOT_FOUND. */
export const findTable = (db: Database, name: string): CatalogueTable => {
  const found = listTables(db).find((t) => t.name === name);
  if (!found) throw new LockstepError('TABLE_NOT_FOUND', `there is no table ${name} in ${db.path}.`);
  return readTable(db, found);
};
