import type { ColumnType } from '../../model/schema.ts';

/** How the values of a column stand in JSON, where that is not plain from the type. */
export type Spelling = 'hex' | 'base64' | 'epoch_seconds' | 'epoch_millis';

export interface DeclaredType {
  readonly type: ColumnType;
  readonly spelling?: Spelling;
}

const plain: Readonly<Record<string, DeclaredType>> = {
  int: { type: { kind: 'int', bits: 64 } },
  decimal: { type: { kind: 'decimal' } },
  float: { type: { kind: 'float', bits: 64 } },
  bool: { type: { kind: 'bool' } },
  text: { type: { kind: 'text' } },
  uuid: { type: { kind: 'uuid' } },
  date: { type: { kind: 'date' } },
  time: { type: { kind: 'time', fraction: 6 } },
  timestamp: { type: { kind: 'timestamp', fraction: 6 } },
  instant: { type: { kind: 'instant', fraction: 6 } },
  json: { type: { kind: 'json', binary: false } },
  hex: { type: { kind: 'bytes' }, spelling: 'hex' },
  base64: { type: { kind: 'bytes' }, spelling: 'base64' },
  epoch_seconds: { type: { kind: 'instant', fraction: 6 }, spelling: 'epoch_seconds' },
  epoch_millis: { type: { kind: 'instant', fraction: 6 }, spelling: 'epoch_millis' },
};

const others: Readonly<Record<string, string>> = {
  integer: 'int',
  bigint: 'int',
  smallint: 'int',
  numeric: 'decimal',
  number: 'decimal',
  double: 'float',
  real: 'float',
  boolean: 'bool',
  string: 'text',
  varchar: 'text',
  datetime: 'timestamp',
  timestamptz: 'instant',
  jsonb: 'json',
  bytes: 'base64',
};

/** Names that messages offer. */
export const typeNames = [...Object.keys(plain), 'decimal(p,s)', 'text(n)'];

/** What a declared type such as `int`, `decimal(10,2)` or `text(40)` means; undefined when it is none. */
export const declaredType = (text: string): DeclaredType | undefined => {
  const found = /^\s*([a-z_]+(?:64)?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*$/i.exec(text);
  if (found === null) return undefined;
  const word = found[1]!.toLowerCase();
  const declared = plain[others[word] ?? word];
  if (declared === undefined || found[2] === undefined) return declared;
  const [first, second] = [Number(found[2]), found[3] === undefined ? undefined : Number(found[3])];
  if (declared.type.kind === 'decimal') return { type: { kind: 'decimal', precision: first, scale: second ?? 0 } };
  if (declared.type.kind === 'text' && second === undefined) return { type: { kind: 'text', maxLength: first } };
  return undefined;
};
