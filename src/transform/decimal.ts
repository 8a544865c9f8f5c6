import { decimalText } from '../model/canon/decimal.ts';

/** Digits after the point that a quotient is rounded to when it does not end before. */
const quotientScale = 20;
/** Beyond this many digits a number is refused: no column keeps more. */
const mostDigits = 16_383;

/** An exact decimal number: `digits` times ten to `-scale`. No operation rounds, but division (see `dividedBy`). */
export class Decimal {
  readonly digits: bigint;
  /** Never negative. */
  readonly scale: number;
  constructor(digits: bigint, scale: number) {
    this.digits = digits;
    this.scale = scale;
  }

  /** Reads any notation of a number; throws for anything else, `NaN` and the infinities among it. */
  static of(text: string): Decimal {
    const plain = decimalText(text.trim());
    if (plain === undefined || !/[0-9]$/.test(plain) || plain.length > mostDigits)
      throw new Error(`'${text.slice(0, 40)}' is not a number that can be calculated with`);
    const point = plain.indexOf('.');
    if (point < 0) return new Decimal(BigInt(plain), 0);
    return new Decimal(BigInt(plain.slice(0, point) + plain.slice(point + 1)), plain.length - point - 1);
  }

  plus(other: Decimal): Decimal {
    const [a, b, scale] = aligned(this, other);
    return new Decimal(a + b, scale);
  }

  minus(other: Decimal): Decimal {
    return this.plus(other.negated());
  }

  times(other: Decimal): Decimal {
    const product = new Decimal(this.digits * other.digits, this.scale + other.scale);
    if (product.scale > mostDigits) throw new Error(`a product has more than ${mostDigits} digits`);
    return product;
  }

  /** Exact where the quotient ends within 20 digits after the point (or as many as the operands have); else rounded there, half away from zero. */
  dividedBy(other: Decimal): Decimal {
    if (other.digits === 0n) throw new Error('division by zero');
    const scale = Math.max(this.scale, other.scale, quotientScale);
    return new Decimal(quotient(this.digits * 10n ** BigInt(scale + other.scale - this.scale), other.digits), scale);
  }

  /** The remainder, with the sign of the dividend. */
  modulo(other: Decimal): Decimal {
    if (other.digits === 0n) throw new Error('division by zero');
    const [a, b, scale] = aligned(this, other);
    return new Decimal(a % b, scale);
  }

  negated(): Decimal {
    return new Decimal(-this.digits, this.scale);
  }

  /** To `places` digits after the point (negative: before it), half away from zero, as SQL rounds. */
  rounded(places: number): Decimal {
    if (!Number.isInteger(places) || Math.abs(places) > mostDigits) throw new Error('round: no such number of places');
    if (places >= this.scale) return this;
    const kept = quotient(this.digits, 10n ** BigInt(this.scale - places));
    return places < 0 ? new Decimal(kept * 10n ** BigInt(-places), 0) : new Decimal(kept, places);
  }

  /** Cut at the point, towards zero. */
  truncated(): Decimal {
    return new Decimal(this.digits / 10n ** BigInt(this.scale), 0);
  }

  compare(other: Decimal): number {
    const [a, b] = aligned(this, other);
    return a < b ? -1 : a > b ? 1 : 0;
  }

  /** Canonical text: no trailing zeros. */
  toString(): string {
    const negative = this.digits < 0n;
    const all = String(negative ? -this.digits : this.digits).padStart(this.scale + 1, '0');
    const whole = all.slice(0, all.length - this.scale);
    const fraction = all.slice(all.length - this.scale).replace(/0+$/, '');
    return `${negative ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
  }
}

const aligned = (a: Decimal, b: Decimal): readonly [bigint, bigint, number] => {
  const scale = Math.max(a.scale, b.scale);
  const at = (n: Decimal): bigint => (n.scale === scale ? n.digits : n.digits * 10n ** BigInt(scale - n.scale));
  return [at(a), at(b), scale];
};

/** Rounded half away from zero. */
const quotient = (a: bigint, b: bigint): bigint => {
  const negative = a < 0n !== b < 0n;
  const [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  const whole = x / y;
  const rounded = (x - whole * y) * 2n >= y ? whole + 1n : whole;
  return negative ? -rounded : rounded;
};
