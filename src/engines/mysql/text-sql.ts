import { mostWhole, plainKinds, textPrefix } from '../../model/hash/text-hash.ts';
import type { Partition, SelectedColumn, TextPartition } from '../../model/selected.ts';
import type { ColumnSql } from './columns.ts';

/** The text hash of `model/hash/text-hash.ts` as SQL. */

/** How a column's text can be had in SQL; undefined: only our side can make the canonical text of it. */
export const textSupport = ({ stored, as }: SelectedColumn): 'exact' | 'weak' | undefined => {
  switch (as.kind) {
    case 'json':
      return stored.kind === 'json' ? 'weak' : undefined;
    case 'int':
      return stored.kind === 'int' || stored.kind === 'bool' ? 'exact' : undefined;
    case 'decimal':
      return stored.kind === 'decimal' || stored.kind === 'int' || stored.kind === 'bool' ? 'exact' : undefined;
    case 'timestamp':
    case 'instant':
      return stored.kind === 'timestamp' || stored.kind === 'instant' ? 'exact' : undefined;
    case 'text':
    case 'enum':
      return stored.kind === 'text' || stored.kind === 'enum' ? 'exact' : undefined;
    case 'float':
      return stored.kind === 'float' && as.bits >= stored.bits ? 'exact' : undefined;
    case 'bool':
    case 'uuid':
    case 'bit':
    case 'date':
    case 'time':
    case 'bytes':
      return stored.kind === as.kind ? 'exact' : undefined;
    default:
      return undefined;
  }
};

const asText = (raw: string): string => `cast(${raw} as char character set utf8mb4)`;

/** `12.50` as `12.5`, `12.00` as `12`: of texts that have a point. */
const trimmed = (raw: string): string => `trim(trailing '.' from trim(trailing '0' from ${asText(raw)}))`;

const plainText = (c: ColumnSql): string => {
  const { facts: f, raw } = c;
  const { stored } = c.column;
  switch (stored.kind) {
    case 'float':
      // the only way to its eight bytes: a point's well-known binary, whose last number it is
      return `lower(hex(left(reverse(st_aswkb(point(0, ${raw} + 0e0))), 8)))`;
    case 'decimal': {
      // the digits of the column's scale, without those that say nothing; `+ 0`: no zeros in front, no zero below zero
      const n = /zerofill/.test(f.native) ? `(${raw} + 0)` : raw;
      return (f.scale ?? 0) > 0 ? trimmed(n) : n;
    }
    case 'int':
    case 'bool':
      return /zerofill/.test(f.native) || f.dataType === 'year' || f.dataType === 'bit' ? `(${raw} + 0)` : raw;
    case 'bit':
      return `lpad(bin(${raw} + 0), ${f.precision ?? 1}, '0')`;
    case 'time':
    case 'timestamp':
    case 'instant':
      return f.fraction > 0 ? trimmed(raw) : asText(raw);
    default:
      // a uuid and a `~` make a uuid, which there is none of
      return asText(raw);
  }
};

const isShort = (c: ColumnSql): boolean => {
  const { maxLength, dataType } = c.facts;
  if (dataType === 'enum' || dataType === 'set') return false;
  return maxLength !== undefined && maxLength * 4 <= mostWhole;
};

const framedFields = (c: ColumnSql): readonly string[] => {
  const { facts: f, raw } = c;
  const { stored, as } = c.column;
  if (as.kind === 'bytes') {
    const whole = `lower(hex(${raw}))`;
    return [
      `ifnull(length(${raw}), -1)`,
      isShort(c) ? whole : `if(length(${raw}) <= ${mostWhole}, ${whole}, md5(${raw}))`,
    ];
  }
  // a JSON of MySQL is utf8mb4, and has no character set by the catalogue
  const own =
    f.dataType === 'json'
      ? asText(raw)
      : f.charset === 'utf8mb4' && /^(var)?char$|text$/.test(f.dataType)
        ? raw
        : `convert(${raw} using utf8mb4)`;
  const isPadded = (stored.kind === 'text' && stored.padded) || (as.kind === 'text' && as.padded);
  const text = isPadded ? `trim(trailing ' ' from ${own})` : own;
  return [
    `ifnull(length(${text}), -1)`,
    isShort(c) ? text : `if(length(${text}) <= ${mostWhole}, ${text}, md5(${text}))`,
  ];
};

const fields = (c: ColumnSql): readonly string[] =>
  !plainKinds.has(c.column.as.kind)
    ? framedFields(c)
    : c.facts.nullable
      ? [`ifnull(${plainText(c)}, '~')`]
      : [plainText(c)];

/** The prefix names a collation: without one, texts of two binary collations (a JSON's is one) could not be joined. */
const md5 = (columns: readonly ColumnSql[], seed: bigint, purpose: 'row' | 'key'): string =>
  `md5(concat_ws('|', _utf8mb4'${textPrefix(seed, purpose)}' collate utf8mb4_bin, ${columns.flatMap(fields).join(', ')}))`;

/** Greater than any sum of hashes: a row whose text is larger than the server builds one has none. */
export const noHash = 10n ** 30n;

/** The sum of the rows' text hashes; `noHash` and more where a row has none. */
export const textSumSql = (columns: readonly ColumnSql[], seed: bigint): string =>
  `sum(ifnull(cast(conv(left(${md5(columns, seed, 'row')}, 16), 16, 10) as unsigned), ${noHash}))`;

/** The part of a key. */
export const textPartSql = (keyColumns: readonly ColumnSql[], p: TextPartition): string =>
  `(cast(conv(left(${md5(keyColumns, p.seed, 'key')}, 8), 16, 10) as unsigned) & ${p.count - 1})`;

const limit = 2n ** 62n;

/** The part of an integer key; the first and the last are unbounded. */
export const rangePartSql = (key: ColumnSql, p: Extract<Partition, { by: 'range' }>): string => {
  if (p.count === 1) return '0';
  const last = p.origin + p.width * BigInt(p.count - 1);
  // unsigned numbers have no difference below zero, and may be larger than a signed one
  const isNarrow = p.origin > -limit && last < limit && !/unsigned|zerofill/.test(key.facts.native);
  const n = `cast(${key.raw} as ${isNarrow ? 'signed' : 'decimal(30, 0)'})`;
  return `case when ${n} < ${p.origin} then 0 when ${n} >= ${last} then ${p.count - 1} else (${n} - (${p.origin})) div ${p.width} end`;
};

/** A query and what it must give: servers that are alike only may do without some of this. */
export const textVector: readonly [sql: string, known: string] = [
  `select concat(conv(left(md5(concat_ws('|', 'é', null, 1.50, ifnull(null, '~'))), 16), 16, 10), ' ', lower(hex(left(reverse(st_aswkb(point(0, -1.5e0))), 8))), ' ', length('é'))`,
  '7564990960293951355 bff8000000000000 2',
];
