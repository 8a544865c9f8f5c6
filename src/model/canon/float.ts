import { decimalText, plain, scientific, special } from './decimal.ts';

/** A double in its one canonical text: the shortest decimal, as JavaScript prints it; -0 is `0`. */
export const canonicalDouble = (x: number): string => (x === 0 ? '0' : String(x));

const bits = new DataView(new ArrayBuffer(8));

/** Canonical text of the 16 hexadecimal digits of a big-endian IEEE 754 double, as `encode(float8send(x),'hex')` gives. */
export const doubleFromHex = (hex: string): string => {
  bits.setUint32(0, Number.parseInt(hex.slice(0, 8), 16));
  bits.setUint32(4, Number.parseInt(hex.slice(8, 16), 16));
  return canonicalDouble(bits.getFloat64(0));
};

/** The reverse of `doubleFromHex`; every NaN is 7ff8000000000000. */
export const doubleToHex = (text: string): string => {
  const x = Number(text);
  if (Number.isNaN(x)) return '7ff8000000000000';
  bits.setFloat64(0, x);
  return bits.getBigUint64(0).toString(16).padStart(16, '0');
};

const single = new DataView(new ArrayBuffer(4));

/** The float next to `f` > 0, by one unit in the last place. */
const neighbour = (f: number, step: 1 | -1): number => {
  single.setFloat32(0, f);
  single.setUint32(0, single.getUint32(0) + step);
  const next = single.getFloat32(0);
  return next === Number.POSITIVE_INFINITY ? 2 ** 128 : next;
};

/** The decimal of `p` digits nearest to `x`, ties to even (toExponential takes ties away from zero). */
const nearest = (x: number, p: number): { readonly digits: number; readonly exponent: number } => {
  const [mantissa, exponent] = x.toExponential(p - 1).split('e') as [string, string];
  const digits = Number(mantissa.replace('.', ''));
  const isTie = digits % 2 === 1 && /^[^e]*5(?:0*)(?:e|$)/.test(x.toExponential(p)) && exactDigits(x) === p + 1;
  return { digits: isTie ? digits - 1 : digits, exponent: Number(exponent) - (p - 1) };
};

const exactDigits = (x: number): number => scientific(exactDecimal(x))!.digits.length;

/**
 * The shortest decimal, as a double, that lies nearer to the 32-bit float `f` than to any other: 0.1 for
 * 0.10000000149011612. The same as PostgreSQL prints (Ryu, bounds excluded, ties to even).
 */
export const shortestSingle = (f: number): number => {
  if (!Number.isFinite(f) || f === 0) return f;
  if (f < 0) return -shortestSingle(-f);
  const low = (f + neighbour(f, -1)) / 2;
  const high = (f + neighbour(f, 1)) / 2;
  for (let p = 1; p < 9; p++) {
    const { digits, exponent } = nearest(f, p);
    // At a power of two the gap above is the wider one: the nearest decimal may miss what the next one up hits.
    for (const d of [digits, digits + 1]) {
      const x = Number(`${d}e${exponent}`);
      if (low < x && x < high) return x;
    }
  }
  return Number(f.toPrecision(9));
};

/**
 * The 32-bit float that a double stands for: itself, or the float's shortest or nine-digit decimal. Undefined for a
 * double that holds more than any 32-bit float: it is never rounded.
 */
export const narrowToSingle = (x: number): number | undefined => {
  const f = Math.fround(x);
  if (f === x || Number.isNaN(x)) return f;
  if (!Number.isFinite(f) || f === 0) return undefined;
  return x === shortestSingle(f) || x === Number(f.toPrecision(9)) ? f : undefined;
};

/** The exact decimal expansion of a finite double. */
const exactDecimal = (x: number): string => {
  bits.setFloat64(0, x);
  const raw = bits.getBigUint64(0);
  const biased = Number((raw >> 52n) & 0x7ffn);
  const fraction = raw & 0xfffffffffffffn;
  const mantissa = biased === 0 ? fraction : fraction | 0x10000000000000n;
  const exponent = (biased === 0 ? 1 : biased) - 1075;
  const sign = x < 0 ? '-' : '';
  const n =
    exponent >= 0
      ? scientific(sign + (mantissa << BigInt(exponent)))
      : scientific(`${sign}${mantissa * 5n ** BigInt(-exponent)}e${exponent}`);
  return plain(n!);
};

const form = (raw: string): string => {
  const n = scientific(raw)!;
  return `${n.negative ? '-' : ''}${n.digits}e${n.exponent}`;
};

/** The double that a decimal text stands for: its shortest, 16- or 17-digit or exact decimal. Otherwise undefined. */
const readDouble = (raw: string): number | undefined => {
  const n = scientific(raw);
  if (n === undefined) {
    const name = special(raw);
    return name === undefined ? undefined : Number(name);
  }
  const x = Number(raw);
  if (n.digits === '') return 0;
  if (!Number.isFinite(x) || x === 0) return undefined;
  if (n.digits.length <= 15) return form(raw) === form(String(x)) ? x : undefined;
  const text = form(raw);
  for (const rendering of [String(x), x.toPrecision(17), x.toPrecision(16), exactDecimal(x)])
    if (text === form(rendering)) return x;
  return undefined;
};

/**
 * Canonical float of a decimal text. A text that holds more than the float does (`0.12345678901234567890`) is not
 * rounded: undefined.
 */
export const floatText = (raw: string, width: 32 | 64): string | undefined => {
  let x: number | undefined = Number(raw);
  if (String(x) !== raw) {
    x = readDouble(raw);
    if (x === undefined) return undefined;
  }
  if (width === 32) {
    x = narrowToSingle(x);
    if (x === undefined) return undefined;
  }
  return canonicalDouble(x);
};

/** The shortest decimal of a float's own width, in JavaScript's notation: what a float is as text. */
export const floatAsText = (canonical: string, width: 32 | 64): string =>
  width === 64 ? canonical : canonicalDouble(shortestSingle(Number(canonical)));

/** A float as a decimal: the shortest decimal of its own width, in plain notation. */
export const floatAsDecimal = (canonical: string, width: 32 | 64): string =>
  decimalText(floatAsText(canonical, width))!;

/** Order of canonical floats: by number, NaN greatest. */
export const compareFloats = (a: string, b: string): number => {
  if (a === b) return 0;
  if (a === 'NaN') return 1;
  if (b === 'NaN') return -1;
  return Number(a) - Number(b) < 0 ? -1 : 1;
};
