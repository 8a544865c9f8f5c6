import type { JsonValue } from '../../model/json.ts';

/** What PostgreSQL's text can hold: NUL and lone surrogates become U+FFFD. For names people gave, never for row content. */
export const plainText = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');
export const plainOrNull = (text: string | null | undefined): string | null => (text == null ? null : plainText(text));

/** JSON text, safe in a text column: JSON escapes NUL and lone surrogates. */
export const toJson = (value: unknown): string | null =>
  value === undefined || value === null ? null : JSON.stringify(value);
export const fromJson = <T = JsonValue>(text: unknown): T => (text === null ? null : JSON.parse(text as string)) as T;

export const toTime = (ms: number | null | undefined): string | null =>
  ms == null ? null : new Date(ms).toISOString();
export const fromTime = (date: unknown): number | null => (date === null ? null : (date as Date).getTime());
