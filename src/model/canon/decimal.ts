/**
 * A number as its significant digits: sign · digits · 10^exponent. `digits` has no zero at either end and is empty for
 * zero, so equal numbers have equal parts.
 */
export interface Scientific {
  readonly negative: boolean;
  readonly digits: string;
  /** A bigint only where a number would not be exact. */
  readonly exponent: number | bigint;
}

const syntax = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/;

/** Reads a decimal number with or without exponent; undefined when it is none. Never expands an exponent. */
export const scientific = (raw: string): Scientific | undefined => {
  const m = syntax.exec(raw);
  if (m === null) return undefined;
  const whole = m[2]!;
  const fraction = m[3] ?? '';
  if (whole === '' && fraction === '') return undefined;
  const all = whole + fraction;
  let start = 0;
  while (start < all.length && all.charCodeAt(start) === 48) start++;
  if (start === all.length) return { negative: false, digits: '', exponent: 0 };
  let end = all.length;
  while (all.charCodeAt(end - 1) === 48) end--;
  const moved = all.length - end - fraction.length;
  const written = m[4];
  let exponent: number | bigint = moved;
  if (written !== undefined) {
    exponent = written.length <= 14 ? Number(written) + moved : BigInt(written.replace('+', '')) + BigInt(moved);
    if (typeof exponent === 'bigint' && exponent > -1_000_000_000n && exponent < 1_000_000_000n)
      exponent = Number(exponent);
  }
  return { negative: m[1] === '-', digits: all.slice(start, end), exponent };
};

/** Plain notation; the caller has made sure that the exponent is small enough to write out. */
export const plain = (n: Scientific): string => {
  if (n.digits === '') return '0';
  const sign = n.negative ? '-' : '';
  const exponent = Number(n.exponent);
  if (exponent >= 0) return sign + n.digits + '0'.repeat(exponent);
  const point = n.digits.length + exponent;
  return point > 0
    ? `${sign}${n.digits.slice(0, point)}.${n.digits.slice(point)}`
    : `${sign}0.${'0'.repeat(-point)}${n.digits}`;
};

/** Digits that PostgreSQL's numeric can hold before and after the point: more cannot be compared as a number. */
const maxWhole = 131_072;
const maxFraction = 16_383;

const canonicalForm = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?$/;

/** Canonical decimal: plain, no exponent, no trailing zeros, no -0; undefined when it is no number or far too long. */
export const decimalText = (raw: string): string | undefined => {
  if (raw.length < 1000 && canonicalForm.test(raw) && raw !== '-0') return raw;
  const n = scientific(raw);
  if (n === undefined) return special(raw);
  if (n.digits === '') return '0';
  const fraction = -n.exponent;
  const whole = typeof n.exponent === 'bigint' ? n.exponent : n.digits.length + n.exponent;
  return fraction <= maxFraction && whole <= maxWhole ? plain(n) : undefined;
};

/** `NaN`, `Infinity` or `-Infinity` from the spellings of databases; undefined for anything else. */
export const special = (raw: string): 'NaN' | 'Infinity' | '-Infinity' | undefined => {
  if (raw.length > 9) return undefined;
  switch (raw.toLowerCase()) {
    case 'nan':
      return 'NaN';
    case 'infinity':
    case '+infinity':
    case 'inf':
    case '+inf':
      return 'Infinity';
    case '-infinity':
    case '-inf':
      return '-Infinity';
    default:
      return undefined;
  }
};

const rank = (text: string): number =>
  text === 'NaN' ? 3 : text === 'Infinity' ? 2 : text === '-Infinity' ? -2 : text.charCodeAt(0) === 45 ? -1 : 1;

const wholeLength = (text: string, negative: boolean): number => {
  const point = text.indexOf('.');
  return (point < 0 ? text.length : point) - (negative ? 1 : 0);
};

/** Order of canonical decimals (and integers): by number, NaN greatest. */
export const compareDecimals = (a: string, b: string): number => {
  if (a === b) return 0;
  const kind = rank(a);
  const order = kind - rank(b);
  if (order !== 0) return order;
  const negative = kind < 0;
  const whole = wholeLength(a, negative) - wholeLength(b, negative);
  // As many digits before the point: the texts order as the numbers do.
  const magnitude = whole !== 0 ? whole : a < b ? -1 : 1;
  return negative ? -magnitude : magnitude;
};
