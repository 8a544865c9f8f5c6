import type { TableName } from '../../model/schema.ts';

/** A standard SQL identifier; names come from the catalogue, never from row content. */
export const id = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** `"schema"."table"`, or the bare table where there are no schemas. */
export const tableId = (t: TableName): string =>
  t.schema === undefined ? id(t.name) : `${id(t.schema)}.${id(t.name)}`;

/**
 * A string literal, for statements that take no parameters. Doubling the quote is enough only where a backslash is
 * an ordinary character (SQLite; PostgreSQL with standard_conforming_strings, which every transaction here pins).
 */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
