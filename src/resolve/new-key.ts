import { createHash } from 'node:crypto';
import { isMisfit } from '../model/canon/misfit.ts';
import type { Pair } from '../model/pair.ts';
import type { NewKey } from '../model/policy.ts';
import type { Row, Text } from '../model/row.ts';

/**
 * The row under a key of its own, made of the old one: the same row always gets the same key, so that a repeated run
 * makes no third one. Undefined: no key can be made of this one.
 */
export const underNewKey = (
  pair: Pick<Pair, 'name' | 'columns' | 'keyWidth'>,
  newKey: NewKey,
  row: Row,
): Row | undefined => {
  const index =
    newKey.column === undefined
      ? 0
      : pair.columns.slice(0, pair.keyWidth).findIndex((c) => c.source.name === newKey.column);
  const cell = row[index];
  if (index < 0 || cell === null || cell === undefined || isMisfit(cell)) return undefined;
  const made = keyCell(pair, newKey, row, pair.columns[index]!.as.kind, cell);
  return made === undefined ? undefined : row.with(index, made as Text);
};

const keyCell = (
  pair: Pick<Pair, 'name' | 'keyWidth'>,
  { add, append }: NewKey,
  row: Row,
  kind: string,
  cell: Text,
): string | undefined => {
  if (kind === 'uuid') return uuidOf(JSON.stringify([pair.name, row.slice(0, pair.keyWidth)]));
  if (kind === 'int' || kind === 'decimal')
    return add === undefined || !/^-?\d+$/.test(cell) ? undefined : String(BigInt(cell) + BigInt(add));
  return append === undefined || kind !== 'text' ? undefined : cell + append;
};

/** A UUID of version 8 (RFC 9562): 122 bits of a SHA-256. */
const uuidOf = (text: string): string => {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
};
