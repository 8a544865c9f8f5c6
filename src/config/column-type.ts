import type { ColumnType } from '../model/schema.ts';
import { typeOfWord } from '../model/type-words.ts';

const names =
  'bool|int|int16|int32|int64|decimal|float|float32|float64|text|date|time|timestamp|timestamptz|instant|uuid|bytes|json';

/** A type as `as` and `type` name it. */
export const typePattern = new RegExp(
  `^(?:${names}|decimal\\([1-9]\\d{0,3}(?:, ?\\d{1,4})?\\)|text\\([1-9]\\d{0,7}\\)|(?:time|timestamp|timestamptz|instant)\\([0-6]\\))$`,
);

/** The type that a text of `typePattern` means; undefined: a decimal with more digits behind its point than it has. */
export const namedType = (text: string): ColumnType | undefined => typeOfWord(text);
