import type { ColumnType } from '../model/schema.ts';

const names = 'bool|int|decimal|float|text|date|time|timestamp|instant|uuid|bytes|json';

/** A type as `as` names it. */
export const typePattern = new RegExp(
  `^(?:${names}|decimal\\([1-9]\\d{0,3}(?:, ?\\d{1,4})?\\)|text\\([1-9]\\d{0,7}\\))$`,
);

/** The type that a text of `typePattern` means. */
export const namedType = (text: string): ColumnType => {
  const [name, a, b] = text.replace(')', '').split(/[(,]/);
  switch (name) {
    case 'int':
      return { kind: 'int', bits: 64 };
    case 'decimal':
      return a === undefined ? { kind: 'decimal' } : { kind: 'decimal', precision: Number(a), scale: Number(b ?? 0) };
    case 'float':
      return { kind: 'float', bits: 64 };
    case 'text':
      return a === undefined ? { kind: 'text' } : { kind: 'text', maxLength: Number(a) };
    case 'time':
    case 'timestamp':
    case 'instant':
      return { kind: name, fraction: 6 };
    case 'json':
      return { kind: 'json', binary: true };
    default:
      return { kind: name as 'bool' | 'date' | 'uuid' | 'bytes' };
  }
};
