import { mostWhole, plainKinds, textPrefix } from '../../model/hash/text-hash.ts';
import type { SelectedColumn, TextPartition } from '../../model/selected.ts';
import type { ColumnSql } from './columns.ts';
import { render } from './render.ts';

/** The text hash of `model/hash/text-hash.ts` as SQL. */

/** How a column's text can be had in SQL; undefined: only our side can make the canonical text of it. */
export const textSupport = ({ stored, as }: SelectedColumn): 'exact' | undefined => {
  switch (as.kind) {
    case 'int':
      return stored.kind === 'int' || stored.kind === 'bool' ? 'exact' : undefined;
    case 'decimal':
      return stored.kind === 'decimal' || stored.kind === 'int' || stored.kind === 'bool' ? 'exact' : undefined;
    case 'timestamp':
    case 'instant':
      return stored.kind === 'timestamp' || stored.kind === 'instant' ? 'exact' : undefined;
    case 'text':
      return stored.kind === 'text' || stored.kind === 'enum' ? 'exact' : undefined;
    case 'float':
      return stored.kind === 'float' && as.bits >= stored.bits ? 'exact' : undefined;
    case 'bool':
    case 'uuid':
    case 'bit':
    case 'date':
    case 'time':
    case 'enum':
    case 'bytes':
      return stored.kind === as.kind ? 'exact' : undefined;
    default:
      return undefined;
  }
};

const framed = (bytes: string, content: string, hashed: string, isShort: boolean): readonly string[] => [
  `coalesce(pg_catalog.octet_length(${bytes}), -1)`,
  isShort
    ? content
    : `case when pg_catalog.octet_length(${bytes}) <= ${mostWhole} then ${content} else pg_catalog.md5(${hashed}) end`,
];

const fields = (c: ColumnSql): readonly string[] => {
  const { stored, as } = c.column;
  if (plainKinds.has(as.kind)) {
    const text = stored.kind === 'bool' ? `(${c.value})::pg_catalog.int4::pg_catalog.text` : render(c).sql;
    return [`coalesce(${text}, '~')`];
  }
  if (as.kind === 'bytes') return framed(c.value, `pg_catalog.encode(${c.value}, 'hex')`, c.value, false);
  const { sql } = render(c);
  const isShort = stored.kind === 'text' && stored.maxLength !== undefined && stored.maxLength * 4 <= mostWhole;
  return framed(sql, sql, sql, isShort);
};

/** Fewer than the arguments that a function can have. */
const atOnce = 90;

const joined = (texts: readonly string[]): string => {
  if (texts.length <= atOnce) return `pg_catalog.concat_ws('|', ${texts.join(', ')})`;
  const groups: string[] = [];
  for (let i = 0; i < texts.length; i += atOnce) groups.push(joined(texts.slice(i, i + atOnce)));
  return joined(groups);
};

const md5 = (columns: readonly ColumnSql[], seed: bigint, purpose: 'row' | 'key'): string =>
  `pg_catalog.md5(${joined([`'${textPrefix(seed, purpose)}'`, ...columns.flatMap(fields)])})`;

/** The row's text hash as the signed int8 of the same bits. */
export const textHashSql = (columns: readonly ColumnSql[], seed: bigint): string =>
  `('x' || pg_catalog.substr(${md5(columns, seed, 'row')}, 1, 16))::pg_catalog.bit(64)::pg_catalog.int8`;

/** The part of a key, an int8. */
export const textPartSql = (keyColumns: readonly ColumnSql[], p: TextPartition): string =>
  `(('x' || pg_catalog.substr(${md5(keyColumns, p.seed, 'key')}, 1, 8))::pg_catalog.bit(32)::pg_catalog.int8 & ${p.count - 1})`;

/** A query and what it must give: md5 may be forbidden, and bit strings differ between servers that are alike only. */
export const textVector: readonly [sql: string, known: string] = [
  `select (('x' || pg_catalog.substr(pg_catalog.md5(pg_catalog.concat_ws('|', 'é', null, 1.50, coalesce(null, '~'))), 1, 16))::pg_catalog.bit(64)::pg_catalog.int8)::pg_catalog.text`,
  '7564990960293951355',
];
