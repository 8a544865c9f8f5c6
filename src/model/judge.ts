import { isMisfit } from './canon/misfit.ts';
import type { ColumnPair, Tolerance } from './pair.ts';
import type { Cell, Row } from './row.ts';

/** Which cells differ, and which only within a declared tolerance (indexes of the pair's columns). */
export interface Judgement {
  readonly columns: readonly number[];
  readonly tolerated: readonly number[];
}

/** Compares two rows of one key cell by cell. Two canonical texts are equal exactly when the values are. */
export const judge = (columns: readonly ColumnPair[], source: Row, target: Row): Judgement => {
  const differing: number[] = [];
  const tolerated: number[] = [];
  for (let i = 0; i < columns.length; i++) {
    const a = source[i]!;
    const b = target[i]!;
    if (a === b) continue;
    const { tolerance } = columns[i]!;
    if (tolerance && within(tolerance, a, b)) tolerated.push(i);
    else differing.push(i);
  }
  return { columns: differing, tolerated };
};

/** Does a declared tolerance cover the difference of two unequal cells? What the type cannot read is never covered. */
export const within = (tolerance: Tolerance, a: Cell, b: Cell): boolean => {
  if (tolerance.any) return true;
  if (isMisfit(a) || isMisfit(b)) return false;
  const x = normalised(tolerance, a);
  const y = normalised(tolerance, b);
  if (x === y) return true;
  if (tolerance.numeric === undefined || x === null || y === null) return false;
  return closeEnough(x, y, tolerance.numeric);
};

const normalised = (tolerance: Tolerance, cell: Cell): string | null => {
  let text: string | null = cell;
  if (text === null) return tolerance.nullEqualsEmpty ? '' : null;
  if (tolerance.trim) text = text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
  if (tolerance.ignoreCase) text = foldCase(text);
  if (tolerance.fraction !== undefined) text = cutFraction(text, tolerance.fraction);
  return text;
};

/** Unicode simple case folding, near enough: one code point to one code point (so `ß` stays, `ς` equals `σ`). */
export const foldCase = (text: string): string => {
  let folded = '';
  for (const char of text) {
    const upper = char.toUpperCase();
    const lower = ([...upper].length === 1 ? upper : char).toLowerCase();
    folded += [...lower].length === 1 ? lower : char;
  }
  return folded;
};

/** Cuts (never rounds) the fraction of a second of a canonical time or timestamp to `digits`. */
const cutFraction = (text: string, digits: number): string =>
  text.replace(/(:\d\d)\.(\d+)/, (_, seconds: string, fraction: string) => {
    const kept = fraction.slice(0, digits).replace(/0+$/, '');
    return kept === '' ? seconds : `${seconds}.${kept}`;
  });

/** A decimal text as digits times ten to `-scale`; undefined for NaN, the infinities and what is no number. */
export const parseDecimal = (text: string): { readonly digits: bigint; readonly scale: number } | undefined => {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (!match || (!match[2] && !match[3])) return undefined;
  const fraction = match[3] ?? '';
  const digits = BigInt(`${match[2]}${fraction}`) * (match[1] === '-' ? -1n : 1n);
  const scale = fraction.length - Number(match[4] ?? 0);
  return scale < 0 ? { digits: digits * 10n ** BigInt(-scale), scale: 0 } : { digits, scale };
};

/** |a - b| <= limit, exactly. */
const closeEnough = (a: string, b: string, limit: string): boolean => {
  const x = parseDecimal(a);
  const y = parseDecimal(b);
  const l = parseDecimal(limit);
  if (!x || !y || !l) return false;
  const scale = Math.max(x.scale, y.scale, l.scale);
  const at = (n: { readonly digits: bigint; readonly scale: number }): bigint =>
    n.digits * 10n ** BigInt(scale - n.scale);
  const distance = at(x) - at(y);
  return (distance < 0n ? -distance : distance) <= at(l);
};
