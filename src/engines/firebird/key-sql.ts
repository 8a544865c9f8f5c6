import { convert } from '../../model/canon/convert.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import type { Cell, Key, Text } from '../../model/row.ts';
import type { Kind } from '../../model/schema.ts';
import { keyBefore, keyFrom } from '../sql/keyset.ts';
import { isUtf8 } from './charsets.ts';
import { type ColumnSql, longestCast } from './columns.ts';
import { scaled } from './decode.ts';
import { comparable, isComparable } from './literals.ts';
import { isBlob, isChar, isForeign } from './types.ts';

const numeric: readonly Kind[] = ['int', 'decimal', 'float'];
const temporal: readonly Kind[] = ['date', 'timestamp', 'instant'];

/** The bytes in UTF-8 of a text column, as SQL that is ordered by them; undefined when they are too many for a cast. */
const utf8Bytes = (c: ColumnSql): { readonly bytes: string; readonly text: string } | undefined => {
  const { facts } = c;
  const trimmed =
    (c.column.stored.kind === 'text' && c.column.stored.padded) || (c.column.as.kind === 'text' && c.column.as.padded);
  const text = trimmed ? `trim(trailing from ${c.sql})` : c.sql;
  if (isUtf8(c.charset) && (isUtf8(facts.charset) || facts.charset === 'NONE'))
    return facts.length > longestCast
      ? undefined
      : { text, bytes: `cast(${text} as varchar(${Math.max(1, facts.length)}) character set octets)` };
  const width = 4 * facts.characters;
  if (width > longestCast) return undefined;
  const n = Math.max(1, facts.characters);
  const named =
    facts.charset === 'NONE'
      ? `cast(cast(${text} as varchar(${n}) character set octets) as varchar(${n}) character set ${c.charset.toLowerCase()})`
      : text;
  const utf8 = `cast(${named} as varchar(${n}) character set utf8)`;
  return { text: utf8, bytes: `cast(${utf8} as varchar(${width}) character set octets)` };
};

/** How a key column is ordered and compared. */
export interface KeyColumnSql {
  readonly orders: readonly string[];
  /** What bounds are compared with, and how a bound is written; equal to the column's order as far as it goes. */
  readonly compared: string;
  bound(cell: Cell): string | undefined;
  /** Comparing says nothing about what comes after a tie: texts that differ by what they are padded with. */
  readonly ties: boolean;
}

const ownCell = (c: ColumnSql, cell: Cell): Text | undefined => {
  if (cell === null || isMisfit(cell)) return undefined;
  const own = convert(cell, c.column.as, c.column.stored) as Text;
  return !isMisfit(own) && convert(own, c.column.stored, c.column.as) === cell ? own : undefined;
};

/**
 * SQL that gives the order of `model/order.ts`. Undefined: the server cannot make it (a text read as a uuid, BLOBs);
 * rows are then put in order on our side.
 */
export const keyColumnSql = (c: ColumnSql): KeyColumnSql | undefined => {
  const { stored, as } = c.column;
  if (isBlob(c.facts) || isForeign(c.facts)) return undefined;
  // As a bound it is misplaced in the index as it is as a value (see `ColumnSql.sorted`).
  const least = c.facts.type === 16 ? scaled('-9223372036854775808', c.facts.scale) : undefined;
  const plain: KeyColumnSql = {
    orders: [c.sorted],
    compared: c.sorted,
    bound: (cell) => {
      const own = ownCell(c, cell);
      return own === undefined || own === least ? undefined : comparable(c, own);
    },
    ties: false,
  };
  const both = (kinds: readonly Kind[]): boolean => kinds.includes(stored.kind) && kinds.includes(as.kind);
  if (both(numeric) || both(temporal)) return plain;
  if (stored.kind === 'bool' && (as.kind === 'bool' || as.kind === 'int' || as.kind === 'decimal')) return plain;
  if (both(['time']) || both(['uuid'])) return plain;
  if (stored.kind === 'uuid' && as.kind === 'bytes') return plain;
  // Zeros at the end do not count in the server's order of bytes.
  if (both(['bytes'])) return { ...plain, orders: [c.sql, `octet_length(${c.sql})`], ties: !isChar(c.facts) };
  if (both(['text'])) {
    const utf8 = utf8Bytes(c);
    if (utf8 === undefined) return undefined;
    return {
      orders: [utf8.bytes, `octet_length(${utf8.text})`],
      compared: utf8.bytes,
      bound: (cell) =>
        cell === null || isMisfit(cell) || !cell.isWellFormed() || cell.length > 10_000
          ? undefined
          : `x'${Buffer.from(cell).toString('hex')}'`,
      ties: true,
    };
  }
  return undefined;
};

/**
 * A condition that holds for every row on the right side of a bound, and maybe for some more, which our side leaves
 * out: as many leading columns of the bound as SQL can say. Undefined: none.
 */
const boundSql = (keys: readonly KeyColumnSql[], bound: Key, side: 'from' | 'before'): string | undefined => {
  const said: { readonly sql: string; readonly key: KeyColumnSql }[] = [];
  let wide = false;
  for (let i = 0; i < keys.length && !wide; i++) {
    const sql = keys[i]!.bound(bound[i]!);
    if (sql === undefined) break;
    said.push({ sql, key: keys[i]! });
    wide = keys[i]!.ties;
  }
  if (said.length === 0) return undefined;
  const cut = wide || said.length < keys.length;
  return (side === 'from' ? keyFrom : keyBefore)(said.length, (column, operator) => {
    const { sql, key } = said[column]!;
    const widened =
      cut && column === said.length - 1 ? (operator === '<' ? '<=' : operator === '>' ? '>=' : operator) : operator;
    return `${key.compared} ${widened} ${sql}`;
  });
};

/** A condition for `from <= key < to`, perhaps wider than that. */
export const rangeSql = (
  keys: readonly KeyColumnSql[],
  from: Key | undefined,
  to: Key | undefined,
): string | undefined => {
  const parts = [from && boundSql(keys, from, 'from'), to && boundSql(keys, to, 'before')].filter(
    (p) => p !== undefined,
  );
  return parts.length === 0 ? undefined : parts.map((p) => `(${p})`).join(' and ');
};

/** Like `rangeSql`, but no wider; empty: everything; undefined: SQL cannot say it. */
export const exactRangeSql = (
  keys: readonly KeyColumnSql[],
  from: Key | undefined,
  to: Key | undefined,
): string | undefined => {
  const sayable = (bound: Key | undefined): boolean =>
    bound === undefined || keys.every((k, i) => !k.ties && k.bound(bound[i]!) !== undefined);
  return sayable(from) && sayable(to) ? (rangeSql(keys, from, to) ?? '') : undefined;
};

/** Can rows be looked up by this column: does each canonical key have one stored form, up to padding and case? */
const looksUp = (c: ColumnSql): boolean => {
  const { stored, as } = c.column;
  if (isBlob(c.facts) || isForeign(c.facts) || !isComparable(stored.kind)) return false;
  if (as.kind === 'float') return false;
  if (stored.kind === as.kind) return true;
  return (
    (['int', 'decimal', 'bool'].includes(stored.kind) && ['int', 'decimal'].includes(as.kind)) ||
    (temporal.includes(stored.kind) && temporal.includes(as.kind)) ||
    (stored.kind === 'uuid' && as.kind === 'bytes')
  );
};

const longestStatement = 60_000;

/**
 * Conditions that find rows of these keys (and perhaps rows whose keys the database takes for the same), each with the
 * keys it is for; keys that cannot be stored are left out. Undefined: the table must be read as a whole.
 */
export const lookups = (
  keys: readonly ColumnSql[],
  wanted: readonly Key[],
): readonly { readonly where: string; readonly keys: readonly Key[] }[] | undefined => {
  if (!keys.every(looksUp)) return undefined;
  const pieces: { where: string; keys: Key[] }[] = [];
  const most = keys.length === 1 ? 1000 : 200;
  let terms: string[] = [];
  let held: Key[] = [];
  let length = 0;
  const flush = (): void => {
    if (terms.length === 0) return;
    pieces.push({
      where: keys.length === 1 ? `${keys[0]!.sql} in (${terms.join(', ')})` : terms.join(' or '),
      keys: held,
    });
    [terms, held, length] = [[], [], 0];
  };
  for (const key of wanted) {
    const values: string[] = [];
    for (const [i, c] of keys.entries()) {
      const own = ownCell(c, key[i]!);
      if (own === undefined) break;
      const sql = comparable(c, own);
      if (sql === undefined) {
        // A value of the column that only SQL cannot say: nothing shorter than reading all finds it.
        if (c.column.stored.kind === 'text' && own.length > 10_000) return undefined;
        break;
      }
      values.push(sql);
    }
    if (values.length < keys.length) continue;
    const term = keys.length === 1 ? values[0]! : `(${keys.map((c, i) => `${c.sql} = ${values[i]}`).join(' and ')})`;
    if (terms.length >= most || length + term.length > longestStatement) flush();
    terms.push(term);
    held.push(key);
    length += term.length + 4;
  }
  flush();
  return pieces;
};
