import { isTextual } from '../../model/canon/convert.ts';
import type { SelectedColumn } from '../../model/selected.ts';
import { id } from '../sql/quote.ts';
import type { Affinity } from './declared-type.ts';

/**
 * Rows leave SQLite fastest as one blob of about a thousand of them. A frame is a row's cells as bytes:
 *
 *   number   its digits, the separator; NULL: the separator alone
 *   text     the bytes, the separator; NULL: the token (see `nullToken`) in place of the bytes
 *   sized    its length in bytes, `:`, the bytes; NULL: `:` alone. For blobs, and for all texts beside a blob
 *
 * No byte of a value can be taken for a frame: a row has as many separators as columns that end in one, and the chunk
 * says how many rows it holds. Where a text holds a separator, more cells are found than there are, the chunk is given
 * up, and its rows are read one by one. (A blob may hold anything: where there is one, lengths say where every text
 * ends.) Likewise when a cell begins with the mark of an odd one: a value of another storage class than its column's,
 * so that no blob is taken for a text, or a row too long for a chunk.
 */
export interface FrameColumn {
  readonly kind: 'number' | 'text' | 'sized';
  /** The value is a blob. */
  readonly blob: boolean;
  /** The column as SQL. */
  readonly name: string;
  /**
   * True for the values that the frame can carry, NULL or false for others. Comparisons jump and cost least: no
   * function is called. Absent: the table itself allows no others.
   */
  readonly usual?: string;
}

/** ASCII's unit separator. */
export const separator = 31;
/** The first byte of an odd cell, which no valid text begins with: an invalid one is taken for odd, and no harm done. */
export const oddMark = 0xfe;
/** The first byte of the token for NULL. */
export const nullMark = 0xff;

const longest = 100_000;

/** How a column is framed; undefined where its values must be read one by one. `loose`: it may hold any storage class. */
export const frameColumn = (
  { name, as, stored }: SelectedColumn,
  loose: boolean,
  affinity: Affinity,
  exactReals: boolean,
): FrameColumn | undefined => {
  const c = id(name);
  const column = (kind: FrameColumn['kind'], usual: string): FrameColumn => ({
    kind,
    blob: kind === 'sized',
    name: c,
    ...(loose ? { usual } : {}),
  });
  switch (as.kind) {
    case 'int':
    case 'decimal':
    case 'float':
    case 'bool':
      if (affinity === 'TEXT') break;
      return exactReals || as.kind === 'int' ? column('number', `+${c} < ''`) : undefined;
    case 'bytes':
      return affinity === 'TEXT' ? undefined : column('sized', `+${c} >= x''`);
    default:
      if (isTextual(as.kind) && !isTextual(stored.kind)) return undefined;
  }
  return column('text', affinity === 'TEXT' ? `+${c} < x''` : `+${c} < x'' and +${c} >= ''`);
};

/** The columns of one frame: texts beside a blob are sized too. */
export const frameColumns = (columns: readonly FrameColumn[]): readonly FrameColumn[] =>
  columns.some((c) => c.blob) ? columns.map((c) => (c.kind === 'text' ? { ...c, kind: 'sized' } : c)) : columns;

/**
 * What stands for NULL in place of a text: ten bytes that no valid text begins with, 63 of their bits random. A text
 * that is these bytes would be taken for NULL; nobody can know them beforehand.
 */
export const nullToken = (random: Uint8Array): Uint8Array =>
  Uint8Array.from(random, (b, i) => (i === 0 ? nullMark : b | 0x80));

const bytesAsText = (bytes: Uint8Array): string => `cast(x'${Buffer.from(bytes).toString('hex')}' as text)`;
const odd = bytesAsText(Uint8Array.of(oddMark));
const end = `char(${separator})`;

/** One row's frame as an SQL expression. */
export const frameExpression = (columns: readonly FrameColumn[], token: Uint8Array): string => {
  const isSized = columns.some((c) => c.kind === 'sized');
  const cells = columns.map(({ kind, name, usual }) => {
    const nothing = kind === 'number' ? "''" : kind === 'text' ? bytesAsText(token) : "':'";
    const plain = kind === 'sized' ? `concat(octet_length(${name}), ':', ${name})` : name;
    if (usual === undefined) return kind === 'sized' ? plain : `ifnull(${name}, ${nothing})`;
    return `iif(${usual}, ${plain}, iif(${name} is null, ${nothing}, ${odd}))`;
  });
  if (!isSized) return `concat_ws(${end}, ${cells.join(', ')}, '')`;
  return `concat(${cells.map((cell, i) => (columns[i]!.kind === 'sized' ? cell : `${cell}, ${end}`)).join(', ')})`;
};

/** Rows `f` of frames as one blob, and how many they are. */
export const chunkExpressions = `cast(group_concat(iif(octet_length(f) < ${longest}, f, ${odd}), '') as blob), count(*)`;
