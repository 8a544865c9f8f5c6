import type {
  ColumnDefinition,
  IndexDefinition,
  SchemaBuilder,
  TableDefinition,
  TableDetails,
} from '../model/build.ts';
import { LockstepError } from '../model/errors.ts';
import {
  type Column,
  type ColumnType,
  type ForeignKey,
  type Table,
  type TableName,
  tableLabel,
} from '../model/schema.ts';
import { nameGiver } from './names.ts';

/** Something of the source that the target does not get. */
export interface LeftOut {
  /** Label of the source table, or of a view. */
  readonly table: string;
  readonly kind: string;
  readonly name: string;
  readonly reason: string;
  readonly definition?: string;
}

/** A table to copy, and the one it becomes. */
export interface CopyTable {
  readonly source: Table;
  readonly details: TableDetails;
  readonly target: TableName;
}

export interface DefineOptions {
  readonly sourceEngine: string;
  readonly targetEngine: string;
  readonly builder: SchemaBuilder;
  /** Declared types by `table.column` of the source. */
  readonly types: ReadonlyMap<string, ColumnType>;
}

export interface Defined {
  readonly definition: TableDefinition;
  readonly leftOut: readonly LeftOut[];
}

/** A counter that has come to its end has no next value. */
const greatest = 2n ** 63n - 1n;

const long: ColumnType = { kind: 'int', bits: 64 };

const columnOf = (c: Column, t: CopyTable, o: DefineOptions, leftOut: LeftOut[]): ColumnDefinition => {
  const table = tableLabel(t.source);
  const details = t.details.columns.get(c.name);
  const same = o.sourceEngine === o.targetEngine;
  const declared = o.types.get(`${table}.${c.name}`) ?? o.types.get(`${t.source.name}.${c.name}`);
  const native = declared === undefined && same ? (details?.native ?? c.native) : undefined;
  const inKey = t.source.uniques.some((u) => u.primary && u.total && u.columns.includes(c.name));
  const identity =
    c.generated === 'identity' ? 'always' : c.serial && (inKey || !c.nullable) ? 'by_default' : undefined;
  const computed = c.generated === 'always';
  const expression = computed && same ? details?.expression : undefined;
  const lost = (kind: string, reason: string, definition: string | undefined): void => {
    leftOut.push({ table, kind, name: c.name, reason, ...(definition === undefined ? {} : { definition }) });
  };
  if (computed && expression === undefined)
    lost('generated column', 'it becomes a plain column that holds the values of now', details?.expression);
  const value = details?.default;
  const portable = value !== undefined && (value.kind !== 'native' || value.engine === o.targetEngine);
  if (details?.defaultSql !== undefined && !portable && identity === undefined)
    lost('default', 'only its own engine can say it', details.defaultSql);
  // BIGINT UNSIGNED: elsewhere a counter has 63 bits, and a row beyond them is refused
  const type =
    declared ?? (identity !== undefined && native === undefined && c.type.kind === 'decimal' ? long : c.type);
  return {
    name: c.name,
    type,
    nullable: c.nullable && !inKey,
    ...(native === undefined || native === '' ? {} : { native }),
    ...(expression === undefined ? {} : { expression }),
    ...(identity === undefined ? {} : { identity }),
    ...(identity === undefined || details?.position === undefined || details.position > greatest
      ? {}
      : { position: details.position }),
    ...(portable && identity === undefined && !computed && (declared ?? c.type).kind === c.type.kind
      ? { default: value }
      : {}),
  };
};

const isSame = (a: TableName, b: TableName): boolean => a.name === b.name && a.schema === b.schema;

/**
 * Integers that refer to wider ones become as wide, and unsigned ones that refer to a counter what it is: some engines
 * want both to be one type.
 */
const widened = (definitions: readonly TableDefinition[], native: boolean): readonly TableDefinition[] => {
  if (native) return definitions;
  return definitions.map((d) => ({
    ...d,
    columns: d.columns.map((c) => {
      const { type } = c;
      if (type.kind !== 'int' && type.kind !== 'decimal') return c;
      let bits: 0 | 16 | 32 | 64 = type.kind === 'int' ? type.bits : 0;
      for (const key of d.foreignKeys) {
        const at = key.columns.indexOf(c.name);
        const parent = at < 0 ? undefined : definitions.find((p) => isSame(p, key.references));
        const to = parent?.columns.find((p) => p.name === key.referencedColumns[at])?.type;
        if (to?.kind === 'int' && to.bits > bits) bits = to.bits;
      }
      return bits === 0 || (type.kind === 'int' && bits === type.bits) ? c : { ...c, type: { kind: 'int', bits } };
    }),
  }));
};

/** What each table becomes in the target, and what of it does not: every part of the source is in one of both. */
export const defineTables = (tables: readonly CopyTable[], o: DefineOptions): readonly Defined[] => {
  const same = o.sourceEngine === o.targetEngine;
  const refuse = (what: string, name: string): void => {
    const reason = o.builder.refuses(name);
    if (reason === undefined) return;
    throw new LockstepError('CONFIG', `${what} cannot have its name in the target: ${reason}`, {
      hint: 'Give a table another name with source=target, or rename the column in the source first.',
    });
  };
  for (const t of tables) {
    refuse(`table ${tableLabel(t.source)}`, t.target.name);
    for (const c of t.source.columns) refuse(`column ${tableLabel(t.source)}.${c.name}`, c.name);
  }
  // tables and indexes are relations of one schema in PostgreSQL
  const labels = tables.map((t) => t.target.name);
  const perSchema = nameGiver(o.builder.longestName, o.builder.refuses, labels);
  const defined = tables.map((t): Defined => {
    const give = o.builder.indexNames === 'schema' ? perSchema : nameGiver(o.builder.longestName, o.builder.refuses);
    return defineTable(t, tables, o, give, perSchema, same);
  });
  const wide = widened(
    defined.map((d) => d.definition),
    same,
  );
  return defined.map((d, i) => {
    const definition = wide[i]!;
    const referenced = wide.flatMap((p) =>
      p.foreignKeys.flatMap((k) => (isSame(definition, k.references) ? [k.referencedColumns] : [])),
    );
    return { ...d, definition: { ...definition, referenced } };
  });
};

type Give = (wanted: string | undefined, made: readonly string[]) => string;

const defineTable = (
  t: CopyTable,
  all: readonly CopyTable[],
  o: DefineOptions,
  give: Give,
  giveKey: Give,
  same: boolean,
): Defined => {
  const { source, details } = t;
  const table = tableLabel(source);
  const leftOut: LeftOut[] = [];
  const lost = (kind: string, name: string, reason: string, definition?: string): void => {
    leftOut.push({ table, kind, name, reason, ...(definition === undefined ? {} : { definition }) });
  };
  const columns = source.columns.map((c) => columnOf(c, t, o, leftOut));
  const primary = source.uniques.find((u) => u.primary);
  const primaryKey: IndexDefinition | undefined =
    primary === undefined || !primary.total
      ? undefined
      : { name: give(ownName(primary.name), [t.target.name, 'pkey']), columns: primary.columns, unique: true };
  if (primary !== undefined && !primary.total)
    lost('primary key', primary.name, 'some of its rows hold NULL in it, which only SQLite allows');
  const indexes = details.indexes.map((i): IndexDefinition => {
    return { ...i, name: give(ownName(i.name), [t.target.name, ...i.columns, i.unique ? 'key' : 'idx']) };
  });
  const foreignKeys = source.foreignKeys.flatMap((key): ForeignKey[] => {
    const parent = all.find(
      ({ source: p }) => p.name === key.references.name && (key.references.schema ?? p.schema) === p.schema,
    );
    if (parent === undefined) {
      lost('foreign key', key.name, `it refers to ${tableLabel(key.references)}, which is not copied`);
      return [];
    }
    const unique = parent.source.uniques.some(
      (u) =>
        u.columns.length === key.referencedColumns.length && u.columns.every((c) => key.referencedColumns.includes(c)),
    );
    if (!unique) {
      lost('foreign key', key.name, `${tableLabel(key.references)} has no key of the columns it refers to`);
      return [];
    }
    return [
      {
        ...key,
        name: giveKey(ownName(key.name), [t.target.name, ...key.columns, 'fkey']),
        references: parent.target,
      },
    ];
  });
  const others = details.others.filter((other) => {
    if (same && other.again !== undefined) return true;
    lost(other.kind, other.name, other.reason ?? reasons[other.kind], other.definition);
    return false;
  });
  return {
    definition: {
      ...t.target,
      columns,
      ...(primaryKey === undefined ? {} : { primaryKey }),
      indexes,
      foreignKeys,
      referenced: [],
      others,
    },
    leftOut,
  };
};

/** A name that somebody gave; undefined: an engine made it up. */
const ownName = (name: string): string | undefined =>
  /^(sqlite_autoindex_.*|PRIMARY|INTEG_\d+|RDB\$.*)$/.test(name) ? undefined : name;

const reasons: Readonly<Record<TableDetails['others'][number]['kind'], string>> = {
  check: 'its condition is in the words of its own engine',
  trigger: 'triggers are programs of their own engine',
  index: 'it is no plain index over whole columns',
  exclusion: 'only PostgreSQL has such constraints',
  partitioning: 'its rows go into one plain table',
  inheritance: 'it becomes a table of its own',
  rule: 'rules are programs of their own engine',
  policy: 'who may see which rows is not copied',
  collation: 'the column gets the one of the target database: texts may sort, and be equal, in another way',
  sequence: 'the column gets a plain counter of its own that goes on by 1',
};
