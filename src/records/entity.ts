import { hash } from 'node:crypto';
import { type Scope, scopes } from '../access/scopes.ts';
import type { RecordEntity, Writing } from '../config/records.ts';
import { closest } from '../lib/suggest.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Cell } from '../model/row.ts';
import type { TableRows } from '../model/rows.ts';
import { type Column, type Schema, type Table, tableLabel } from '../model/schema.ts';
import { jsonWriter } from './json.ts';

/** A column as callers meet it. */
export interface Field {
  readonly column: Column;
  readonly name: string;
  /** The name as it begins a member of a JSON object: `"name":`. */
  readonly member: string;
  readonly json: (cell: Cell) => string;
  /** The scope that sees it; absent: everybody who reads. */
  readonly unless?: Scope;
  readonly shown: boolean;
  readonly filtered: boolean;
  readonly sorted: boolean;
  readonly created: boolean;
  readonly updated: boolean;
}

/** A table as records, as far as the database bears the configuration out. */
export interface Entity {
  readonly config: RecordEntity;
  /** Identity of the server that has the table. */
  readonly server: string;
  /** A replica stands in for it, which may lag behind. */
  readonly standIn: boolean;
  /** Another one where the database, the table or the configuration is another: the same in every process. */
  readonly shape: string;
  readonly table: Table;
  readonly rows: TableRows;
  readonly key: readonly Field[];
  /** All columns by name, in the order in which they are shown. */
  readonly fields: ReadonlyMap<string, Field>;
  readonly shown: readonly Field[];
  readonly create: boolean;
  readonly update: boolean;
  readonly delete: boolean;
  readonly version?: Field;
}

const wrong = (c: RecordEntity, what: string, hint?: string): LockstepError =>
  new LockstepError('CONFIG', `records.${c.name}: ${what}`, hint === undefined ? {} : { hint });

/** The table by its exact name, its name in the default schema, or a unique one but for capitals. */
const tableOf = (c: RecordEntity, { tables, defaultSchema }: Schema, endpoint: string): Table => {
  const exact = tables.find((t) => tableLabel(t) === c.table);
  const bare = tables.filter((t) => t.name === c.table);
  const own = bare.find((t) => t.schema === defaultSchema) ?? (bare.length === 1 ? bare[0] : undefined);
  const alike = tables.filter((t) => [tableLabel(t), t.name].some((n) => n.toLowerCase() === c.table.toLowerCase()));
  const found = exact ?? own ?? (alike.length === 1 ? alike[0] : undefined);
  if (found) return found;
  const meant = closest(
    c.table,
    tables.map((t) => tableLabel(t)),
  );
  throw new LockstepError('TABLE_NOT_FOUND', `records.${c.name}: ${endpoint} has no table ${c.table}`, {
    hint:
      meant === undefined
        ? 'Name it as schema.table; is it shown to this user?'
        : `Did you mean ${meant}? Names are schema.table.`,
  });
};

const keyOf = (c: RecordEntity, table: Table): readonly string[] => {
  const total = table.uniques.filter((u) => u.total);
  if (c.key === undefined) {
    const found = total[0];
    if (found) return found.columns;
    throw wrong(c, `${tableLabel(table)} has no primary key`, 'Name the columns that identify a row: `key: [a, b]`.');
  }
  const named = c.key;
  const same = total.some((u) => u.columns.length === named.length && u.columns.every((name) => named.includes(name)));
  if (same || table.kind === 'view') return named;
  const keys = total.map((u) => u.columns.join(', ')).join('; ');
  throw wrong(
    c,
    `${named.join(', ')} is no unique, NOT NULL key of ${tableLabel(table)}: several rows could be one record`,
    keys === '' ? 'Give the table a unique key.' : `Its keys: ${keys}.`,
  );
};

/** Every name that the configuration uses is a column. */
const checkNames = (c: RecordEntity, table: Table): void => {
  const known = table.columns.map((x) => x.name);
  const used: readonly (readonly [string, readonly string[] | undefined])[] = [
    ['key', c.key],
    ['read.columns', c.columns],
    ['read.filters', c.filters],
    ['read.sort', c.sort],
    ['create.columns', typeof c.create === 'object' ? c.create.columns : undefined],
    ['update.columns', typeof c.update === 'object' ? c.update.columns : undefined],
    ['update.transitions', Object.keys(c.transitions)],
    ['mask', Object.keys(c.masks)],
    ['row_filter', c.rowFilter.map((t) => t.column)],
    ['etag', c.version === undefined ? [] : [c.version]],
    ['aliases', c.aliases.flatMap((a) => [...a.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!))],
  ];
  for (const [where, names] of used) {
    const odd = names?.find((name) => !known.includes(name));
    if (odd === undefined) continue;
    const meant = closest(odd, known);
    throw wrong(
      c,
      `${where}: ${tableLabel(table)} has no column ${odd}`,
      `${meant === undefined ? '' : `Did you mean ${meant}? `}Its columns: ${known.join(', ')}.`,
    );
  }
  for (const [column, unless] of Object.entries(c.masks)) {
    if (!(scopes as readonly string[]).includes(unless))
      throw wrong(c, `mask.${column}: there is no scope ${unless}`, 'Most likely it is records:read_masked.');
  }
};

const named = (writing: Writing | undefined, all: (column: Column) => boolean, column: Column): boolean =>
  typeof writing === 'object' ? writing.columns.includes(column.name) : writing !== false && all(column);

/** What can be compared with a value in a URL. */
const comparable = ({ type }: Column): boolean => type.kind !== 'json' && type.kind !== 'opaque';

/** Joins the configuration of an entity with its table. Throws CONFIG, TABLE_NOT_FOUND. */
export const openEntity = async (config: RecordEntity, endpoint: Endpoint, o: Cancel): Promise<Entity> => {
  if (!endpoint.rows)
    throw wrong(config, `${endpoint.name} is a ${endpoint.engine} endpoint, which serves no rows one by one`);
  // a schema's name may hold dots, and so may a table's
  const schemas = [...config.table.matchAll(/\./g)].map(({ index }) => config.table.slice(0, index));
  const table = tableOf(
    config,
    await endpoint.inspect({ ...o, ...(schemas.length === 0 ? {} : { schemas }) }),
    endpoint.name,
  );
  checkNames(config, table);
  const keyNames = keyOf(config, table);
  const masked = keyNames.find((name) => Object.hasOwn(config.masks, name));
  if (masked !== undefined)
    throw wrong(config, `mask: ${masked} is of the key, and a key is in every URL: it cannot be masked`);
  const rows = await endpoint.rows.of(table, keyNames, o);
  // a replica stands in: it is written again when the primary is back
  const writable = rows.write !== undefined || endpoint.standIn !== undefined;
  const asked = (w: Writing | undefined): boolean => (w === undefined ? writable : w !== false);
  const wanted = [config.create, config.update, config.delete].some((w) => w !== undefined && w !== false);
  if (wanted && !writable)
    throw wrong(
      config,
      `it may be written, and ${table.kind === 'view' ? `${tableLabel(table)} is a view` : `${endpoint.name} is read-only`}`,
      table.kind === 'view' ? 'Leave create, update and delete out.' : 'Add `writable: true` to the endpoint.',
    );
  const filterColumns = new Set(config.rowFilter.map((t) => t.column));
  const fieldOf = (column: Column): Field => {
    const { name } = column;
    const shown = (config.columns === undefined || config.columns.includes(name)) && !column.unreadable;
    const unless = Object.hasOwn(config.masks, name) ? config.masks[name] : undefined;
    const listed = (names: readonly string[] | undefined): boolean =>
      names === undefined ? shown : names.includes(name);
    const stored = column.generated === undefined && !column.unreadable;
    const counted = name === config.version && column.type.kind === 'int';
    return {
      column,
      name,
      member: `${JSON.stringify(name)}:`,
      json: jsonWriter(column.type),
      ...(unless === undefined ? {} : { unless: unless as Scope }),
      shown,
      filtered: listed(config.filters) && !column.unreadable && comparable(column),
      sorted: listed(config.sort) && !column.unreadable && rows.sortable(name),
      created: stored && named(config.create, () => shown, column),
      updated:
        stored &&
        !counted &&
        !filterColumns.has(name) &&
        !keyNames.includes(name) &&
        named(config.update, () => shown, column),
    };
  };
  const fields = new Map<string, Field>();
  for (const name of [...(config.columns ?? []), ...table.columns.map((c) => c.name)])
    if (!fields.has(name)) fields.set(name, fieldOf(table.columns.find((c) => c.name === name)!));
  const key = keyNames.map((name) => fields.get(name)!);
  const unsortable = key.find((f) => !rows.sortable(f.name));
  if (unsortable) throw wrong(config, `its key column ${unsortable.name} has no order that pages could follow`);
  const { server, database } = endpoint.fingerprint;
  return {
    config,
    server,
    standIn: endpoint.standIn !== undefined,
    shape: hash('sha256', JSON.stringify([config, table, server, database]), 'base64url'),
    table,
    rows,
    key,
    fields,
    shown: [...fields.values()].filter((f) => f.shown),
    create: writable && asked(config.create),
    update: writable && asked(config.update),
    delete: writable && (config.delete ?? true),
    ...(config.version === undefined ? {} : { version: fields.get(config.version)! }),
  };
};
