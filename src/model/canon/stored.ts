import type { Text } from '../row.ts';
import type { ColumnType } from '../schema.ts';
import { bytesFromHex, hexFromBytes } from './bytes.ts';
import { readText } from './canonical.ts';
import { convert, isTextual } from './convert.ts';
import { canonicalDouble, narrowToSingle } from './float.ts';
import { intText } from './int.ts';
import { isMisfit, misfit, misfitContent } from './misfit.ts';
import { uuidFromBytes } from './uuid.ts';

/**
 * The value of a loose column (SQLite), by what the cell really stores, rendered as `as`. `stored` is the column's own
 * type: a number in a text column is a misfit, but an INTEGER column can be rendered as text.
 */
const typed = (
  as: ColumnType,
  stored: ColumnType,
  read: (type: ColumnType) => string | undefined,
  odd: () => Text,
): Text => {
  if (!isTextual(as.kind)) return (read(as) as Text | undefined) ?? odd();
  if (isTextual(stored.kind)) return odd();
  const own = read(stored) as Text | undefined;
  return own === undefined ? odd() : (convert(own, stored, as) as Text);
};

const numeric = (kind: string): boolean =>
  kind === 'int' || kind === 'decimal' || kind === 'float' || kind === 'bool' || kind === 'json';

/** An integer cell; `digits` canonical. */
export const storedInteger = (as: ColumnType, stored: ColumnType, digits: string): Text =>
  typed(
    as,
    stored,
    (type) => (numeric(type.kind) ? readText(type, digits) : undefined),
    () => misfit('n', digits),
  );

/** A floating-point cell. */
export const storedReal = (as: ColumnType, stored: ColumnType, x: number): Text =>
  typed(
    as,
    stored,
    (type) => {
      if (type.kind === 'float') return floatCell(x, type.bits);
      if (type.kind === 'bool' || !numeric(type.kind)) return undefined;
      return readText(type, canonicalDouble(x));
    },
    () => misfit('n', realContent(x)),
  );

const floatCell = (x: number, bits: 32 | 64): string | undefined => {
  const narrow = bits === 64 ? x : narrowToSingle(x);
  return narrow === undefined ? undefined : canonicalDouble(narrow);
};

/** The content of a number misfit that is a real: told from an integer by its point or exponent: `1.0`. */
export const realContent = (x: number): string => {
  const text = canonicalDouble(x);
  return /^-?[0-9]+$/.test(text) ? `${text}.0` : text;
};

/** A text cell; `text` decoded by `decodeUtf8`. In a bytes column text is a misfit; as bytes from a text column it is `\x…`. */
export const storedText = (as: ColumnType, stored: ColumnType, text: string): Text => {
  const readable = as.kind !== 'bytes' || (stored.kind !== 'bytes' && text.startsWith('\\x'));
  const read = readable ? readText(as, text) : undefined;
  if (read === undefined || isMisfit(read as Text)) return misfit('t', text);
  return (
    as.kind === 'text' && !as.padded && stored.kind === 'text' && stored.padded ? readText(stored, read) : read
  ) as Text;
};

/** A blob cell. */
export const storedBlob = (as: ColumnType, stored: ColumnType, bytes: Uint8Array): Text =>
  typed(
    as,
    stored,
    (type) => (type.kind === 'bytes' ? hexFromBytes(bytes) : type.kind === 'uuid' ? uuidFromBytes(bytes) : undefined),
    () => misfit('b', hexFromBytes(bytes)),
  );

/** How a loose column of type `stored` shows one of its own cells (a value or a misfit) as `as`. */
export const storedAgain = (as: ColumnType, stored: ColumnType, cell: Text): Text => {
  if (isMisfit(cell)) {
    const { stored: storage, content } = misfitContent(cell);
    if (storage === 't') return storedText(as, stored, content);
    return storage === 'b' ? storedBlob(as, stored, bytesFromHex(content)) : storedNumber(as, stored, content);
  }
  switch (stored.kind) {
    case 'bytes':
      return storedBlob(as, stored, bytesFromHex(cell));
    case 'bool':
      return storedInteger(as, stored, cell === 'true' ? '1' : '0');
    case 'float':
      return storedReal(as, stored, Number(cell));
    case 'int':
    case 'decimal':
      return cell === 'NaN' ? storedText(as, stored, cell) : storedNumber(as, stored, cell);
    default:
      return storedText(as, stored, cell);
  }
};

const storedNumber = (as: ColumnType, stored: ColumnType, text: string): Text =>
  intText(text) === text ? storedInteger(as, stored, text) : storedReal(as, stored, Number(text));
