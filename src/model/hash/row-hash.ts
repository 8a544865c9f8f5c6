import type { Row } from '../row.ts';
import type { SelectedColumn } from '../endpoint.ts';
import type { HashSpec } from './spec.ts';

/**
 * The row hash of `spec.ts` in JavaScript, from canonical cells. `hash` leaves [high, low] in `out`.
 * `bucket` is the key's hash (columns 0..keyWidth-1, purpose `key`, unsigned low bits) for a hash partition:
 * part = low 32 bits of the finalised key hash, unsigned, modulo count.
 */
export interface RowHasher {
  readonly out: Int32Array;
  hash(row: Row): void;
  bucket(row: Row, count: number): number;
}
export const rowHasher = (_columns: readonly SelectedColumn[], _keyWidth: number, _hash: HashSpec): RowHasher => {
  throw new Error('not written yet');
};
