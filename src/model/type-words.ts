import type { ColumnType } from './schema.ts';

const plain: Readonly<Record<string, ColumnType>> = {
  bool: { kind: 'bool' },
  int: { kind: 'int', bits: 64 },
  int16: { kind: 'int', bits: 16 },
  int32: { kind: 'int', bits: 32 },
  int64: { kind: 'int', bits: 64 },
  float: { kind: 'float', bits: 64 },
  float32: { kind: 'float', bits: 32 },
  float64: { kind: 'float', bits: 64 },
  decimal: { kind: 'decimal' },
  text: { kind: 'text' },
  date: { kind: 'date' },
  time: { kind: 'time', fraction: 6 },
  timestamp: { kind: 'timestamp', fraction: 6 },
  instant: { kind: 'instant', fraction: 6 },
  timestamptz: { kind: 'instant', fraction: 6 },
  uuid: { kind: 'uuid' },
  bytes: { kind: 'bytes' },
  json: { kind: 'json', binary: true },
};

/** The words that a type can be declared with. */
export const typeWords: readonly string[] = [...Object.keys(plain), 'text(20)', 'decimal(10,2)', 'timestamp(3)'];

/** A type by its word; undefined: there is none of that name. */
export const typeOfWord = (word: string): ColumnType | undefined => {
  const text = word.trim().toLowerCase();
  if (Object.hasOwn(plain, text)) return plain[text];
  const [, name, a, b] =
    /^(text|decimal|time|timestamp|instant|timestamptz)\((\d{1,8})(?:,\s*(\d{1,4}))?\)$/.exec(text) ?? [];
  if (name === undefined) return undefined;
  const n = Number(a);
  if (name === 'decimal')
    return n >= 1 && Number(b ?? 0) <= n ? { kind: 'decimal', precision: n, scale: Number(b ?? 0) } : undefined;
  if (b !== undefined) return undefined;
  if (name === 'text') return n >= 1 ? { kind: 'text', maxLength: n } : undefined;
  const kind = name === 'timestamptz' ? 'instant' : (name as 'time' | 'timestamp' | 'instant');
  return n <= 6 ? { kind, fraction: n } : undefined;
};
