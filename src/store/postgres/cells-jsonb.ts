import { createHash } from 'node:crypto';
import { bytesFromHex } from '../../model/canon/bytes.ts';
import { isMisfit, misfitContent } from '../../model/canon/misfit.ts';
import { show, shownCell } from '../../model/canon/show.ts';
import { encodeUtf8 } from '../../model/canon/utf8.ts';
import type { Difference } from '../../model/change.ts';
import type { DifferencePair } from '../../model/differences.ts';
import type { Cell, Row, Text } from '../../model/row.ts';
import { plainText } from './values.ts';

/** Longer cells are cut, in UTF-16 units: a jsonb holds 256 MB in all. */
const longest = 65_536;
/** Where many long cells meet in one row. */
const longestOfMany = 1024;
const mostText = 32 * 1024 * 1024;
/** What is left of a cell that is cut. */
const beginning = 1000;

type Json = string | null | { readonly [name: string]: Json | number };

/** The bytes that are stored. */
const bytesOf = (cell: Text): Uint8Array => {
  if (!isMisfit(cell)) return encodeUtf8(cell);
  const { stored, content } = misfitContent(cell);
  return stored === 'b' ? bytesFromHex(content) : encodeUtf8(content);
};

/**
 * A cell as jsonb can hold it: text as it is, and an object for what jsonb cannot hold or should not. `hex` has the
 * bytes of a text with NUL or invalid UTF-8, or of a value that its column's type does not have (`shown` says what it
 * is); `sha256` and `bytes` are of the whole cell where it is cut. Different cells give different JSON.
 */
const jsonCell = (cell: Cell, most: number): Json => {
  if (cell === null) return null;
  const plain = cell.isWellFormed() && !cell.includes('\0');
  if (plain && cell.length <= most) return cell;
  const bytes = bytesOf(cell);
  if (cell.length <= most) return { shown: show(cell), hex: Buffer.from(bytes).toString('hex') };
  const start = cell.slice(0, beginning);
  return {
    shown: `${(plain ? start : show(start as Text)).toWellFormed()}…`,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
};

export interface JsonDifference {
  /** JSON object: key column -> cell. */
  readonly key: string;
  /** JSON object: column -> { source, target }; the side that has no row is left out. */
  readonly cells: string;
  /** 16 bytes that tell one difference of a pair from another. */
  readonly digest: Buffer;
}

const object = (members: readonly (readonly [string, Json])[]): string =>
  `{${members.map(([name, value]) => `${JSON.stringify(plainText(name))}:${JSON.stringify(value)}`).join(',')}}`;

const cellsOf = (pair: DifferencePair, d: Difference, most: number): string => {
  const cell = (row: Row, i: number): Json => jsonCell(shownCell(row[i] ?? null, pair.columns[i]!.as), most);
  const name = (i: number): string => pair.columns[i]!.source;
  if (d.kind === 'different')
    return object(d.columns.map((i) => [name(i), { source: cell(d.source, i), target: cell(d.target, i) }]));
  return object(
    pair.columns.map((_, i) => [
      name(i),
      d.kind === 'only_in_source' ? { source: cell(d.source, i) } : { target: cell(d.target, i) },
    ]),
  );
};

/** `nth`: of several that are alike, as rows without a key may be. */
export const jsonDifference = (pair: DifferencePair, d: Difference, nth = 1): JsonDifference => {
  const key = object(
    pair.columns
      .slice(0, pair.keyWidth)
      .map((c, i) => [c.source, jsonCell(shownCell(d.key[i] ?? null, c.as), longest)]),
  );
  let cells = cellsOf(pair, d, longest);
  if (cells.length > mostText) cells = cellsOf(pair, d, longestOfMany);
  // Its length parts the key from the cells.
  const text = `${d.kind} ${nth} ${pair.target.length} ${pair.target} ${key.length} ${key}${cells}`;
  return { key, cells, digest: createHash('sha256').update(text).digest().subarray(0, 16) };
};
