import { dateDays } from '../model/canon/date.ts';
import { isMisfit } from '../model/canon/misfit.ts';
import { parts, timestampParts } from '../model/canon/timestamp.ts';
import { parseDecimal } from '../model/judge.ts';
import type { Cell } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';

/** Later than any time that can be stored, in microseconds. */
const endless = 10n ** 30n;

export const isMoment = (type: ColumnType): boolean =>
  type.kind === 'date' || type.kind === 'timestamp' || type.kind === 'instant';

export const isNumeric = (type: ColumnType): boolean =>
  type.kind === 'int' || type.kind === 'decimal' || type.kind === 'float';

/** A moment as microseconds since 2000-01-01; undefined: nothing is known. */
const micros = (type: ColumnType, cell: Cell): bigint | undefined => {
  if (cell === null || isMisfit(cell)) return undefined;
  if (type.kind === 'date') {
    const days = dateDays(cell);
    return Number.isFinite(days) ? BigInt(days) * 86_400_000_000n : days > 0 ? endless : -endless;
  }
  const sign = timestampParts(cell);
  return sign === 0 ? BigInt(parts.seconds) * 1_000_000n + BigInt(parts.micros) : BigInt(sign) * endless;
};

/** How much greater `a` is than `b`, as digits of one scale; undefined: one of them is no finite number. */
const numberGap = (a: Cell, b: Cell): bigint | undefined => {
  const x = a === null ? undefined : parseDecimal(a);
  const y = b === null ? undefined : parseDecimal(b);
  if (!x || !y) return undefined;
  const scale = Math.max(x.scale, y.scale);
  return x.digits * 10n ** BigInt(scale - x.scale) - y.digits * 10n ** BigInt(scale - y.scale);
};

export interface Stamp {
  readonly type: ColumnType;
  readonly cell: Cell;
}

/**
 * Who wrote later. `unknown`: a side has no time (NULL, or what its type cannot read), which says nothing of its age;
 * `near`: the times lie within the difference that the clocks may have.
 */
export const later = (
  source: Stamp,
  target: Stamp,
  skewMs: number,
): 'source' | 'target' | 'same' | 'near' | 'unknown' => {
  if (!isMoment(source.type)) {
    const gap = numberGap(source.cell, target.cell);
    if (gap === undefined) return 'unknown';
    return gap === 0n ? 'same' : gap > 0n ? 'source' : 'target';
  }
  const s = micros(source.type, source.cell);
  const t = micros(target.type, target.cell);
  if (s === undefined || t === undefined) return 'unknown';
  const gap = s - t;
  if (gap === 0n) return 'same';
  const skew = BigInt(Math.round(skewMs * 1000));
  if (gap <= skew && -gap <= skew) return 'near';
  return gap > 0n ? 'source' : 'target';
};
