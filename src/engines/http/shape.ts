import type { ColumnType, Table } from '../../model/schema.ts';
import { declaredType } from './column-type.ts';
import { isNumber, isObject, type Json, jsonOf } from './json.ts';
import { valueAt } from './pointer.ts';
import type { HttpColumn, Resource } from './resource.ts';
import { cellOf } from './values.ts';

/** A resource whose columns and key are known. */
export interface Shape {
  readonly resource: Resource;
  readonly columns: readonly HttpColumn[];
  /** Empty: it has none. */
  readonly key: readonly HttpColumn[];
  readonly table: Table;
  /** Columns were inferred: a field that none of them reads is an error, not a choice. */
  readonly inferred: boolean;
}

const patterns: readonly (readonly [string, RegExp])[] = [
  ['uuid', /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i],
  ['date', /^\d{4}-\d\d-\d\d$/],
  ['instant', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$/],
];

/** The type that a sample of a field's values suggests. */
const inferredType = (values: readonly Json[]): string => {
  const given = values.filter((v) => v !== null);
  const every = (is: (v: Json) => boolean): boolean => given.length > 0 && given.every(is);
  if (every((v) => typeof v === 'boolean')) return 'bool';
  if (every((v) => isNumber(v) && /^-?\d{1,18}$/.test(v.rawJSON))) return 'int';
  if (every((v) => isNumber(v))) return 'decimal';
  if (every((v) => typeof v === 'string'))
    return (
      patterns.find(([name, shape]) => given.every((v) => shape.test(v as string) && reads(name, v)))?.[0] ?? 'text'
    );
  return given.length === 0 ? 'text' : 'json';
};

const reads = (native: string, value: Json): boolean => {
  const cell = cellOf(column('', native), value);
  return cell !== null && cell.charCodeAt(0) !== 0xdc00;
};

const column = (name: string, native: string): HttpColumn => {
  const declared = declaredType(native)!;
  return {
    name,
    field: [name],
    type: declared.type,
    ...(declared.spelling === undefined ? {} : { spelling: declared.spelling }),
    native,
    nullable: true,
    readOnly: false,
    asText: false,
  };
};

const inferColumns = (sample: readonly Json[]): readonly HttpColumn[] => {
  const values = new Map<string, Json[]>();
  for (const item of sample.filter(isObject))
    for (const [name, value] of Object.entries(item)) {
      const seen = values.get(name);
      if (seen) seen.push(value);
      else values.set(name, [value]);
    }
  return [...values].map(([name, seen]) => column(name, inferredType(seen)));
};

/** `id`, where every item of the sample has one of its own. */
const inferKey = (columns: readonly HttpColumn[], sample: readonly Json[]): readonly string[] => {
  const id = columns.find((c) => c.name === 'id' && c.type.kind !== 'json');
  if (id === undefined || sample.length === 0) return [];
  const seen = sample.map((item) => valueAt(item, id.field));
  const unique = new Set(seen.map((v) => (v === undefined ? '' : jsonOf(v)))).size === sample.length;
  return unique && seen.every((v) => v !== undefined && v !== null) ? ['id'] : [];
};

const type = (t: ColumnType): ColumnType => t;

/** A resource with its columns, from its declaration or from a sample of its items. */
export const shapeOf = (resource: Resource, sample: readonly Json[]): Shape => {
  const found = resource.columns ?? inferColumns(sample);
  const names = resource.key ?? inferKey(found, sample);
  const columns = found.map((c) => (names.includes(c.name) ? { ...c, nullable: false } : c));
  const key = names.flatMap((name) => columns.filter((c) => c.name === name));
  return {
    resource,
    columns,
    key,
    inferred: resource.columns === undefined,
    table: {
      name: resource.name,
      kind: 'table',
      columns: columns.map((c) => ({
        name: c.name,
        type: type(c.type),
        native: c.native,
        nullable: c.nullable,
        ...(c.readOnly ? { generated: 'always' as const } : {}),
      })),
      uniques: key.length === 0 ? [] : [{ name: 'key', columns: names, total: true, primary: true }],
      foreignKeys: [],
      triggers: [],
      indexes: key.length === 0 ? [] : [names],
    },
  };
};
