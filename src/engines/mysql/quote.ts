import type { TableName } from '../../model/schema.ts';

/** An identifier; names come from the catalogue, never from row content. */
export const id = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

/** `database`.`table`, or the bare table. */
export const tableId = (t: TableName): string =>
  t.schema === undefined ? id(t.name) : `${id(t.schema)}.${id(t.name)}`;

/** Bytes as a literal. */
export const hexLiteral = (bytes: Uint8Array): string =>
  `x'${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}'`;

/**
 * A text literal in utf8mb4. What a backslash means depends on the session, so a text that holds one, or U+0000, is
 * written as bytes: right in every mode. The text is valid UTF-16 (`isStorableText`).
 */
export const literal = (text: string): string =>
  text.includes('\\') || text.includes('\0')
    ? `_utf8mb4 x'${Buffer.from(text, 'utf8').toString('hex')}'`
    : `'${text.replaceAll("'", "''")}'`;

/** Does a cell hold nothing but pairs of hex digits? Only then may it stand between the quotes of `x''`. */
export const isHex = (cell: string): boolean => cell.length % 2 === 0 && !/[^0-9a-f]/i.test(cell);

/** The same for `b''`. */
export const isBits = (cell: string): boolean => !/[^01]/.test(cell);

/** Half of a surrogate pair stands for a byte that is not valid UTF-8, or for nothing: no text column can hold it. */
export const isStorableText = (text: string): boolean => text.isWellFormed();
