import type { Environment } from '@marcbachmann/cel-js';
import { Decimal } from './decimal.ts';
import { linearPattern } from './pattern.ts';

type Number_ = Decimal | bigint;
const exact = (n: Number_): Decimal => (typeof n === 'bigint' ? new Decimal(n, 0) : n);

const arithmetic: Readonly<Record<string, (a: Decimal, b: Decimal) => Decimal>> = {
  '+': (a, b) => a.plus(b),
  '-': (a, b) => a.minus(b),
  '*': (a, b) => a.times(b),
  '/': (a, b) => a.dividedBy(b),
  '%': (a, b) => a.modulo(b),
};
const comparisons: Readonly<Record<string, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};
const operands = ['Decimal Decimal', 'Decimal int', 'int Decimal'].map((pair) => pair.split(' ') as [string, string]);

/** A whole number, exactly. */
const integer = (n: Decimal): bigint => {
  const cut = n.truncated();
  if (cut.compare(n) !== 0) throw new Error(`${n} is not a whole number`);
  return cut.digits;
};

const longest = 1_000_000;

const padded = (text: string, length: number, fill: string): string => {
  if (length > longest) throw new Error(`padStart: more than ${longest} characters`);
  return text.padStart(length, fill);
};

const decimalOf = (value: unknown): Decimal => {
  if (value instanceof Decimal) return value;
  if (typeof value === 'bigint') return exact(value);
  if (typeof value === 'string') return Decimal.of(value);
  throw new Error(`decimal: ${value === null ? 'NULL' : `a ${typeof value}`} is not a number`);
};

/** A column's number is a Decimal, so what stands in for it has to be one: only then it is equal to one, and exact. */
const exactly = (value: unknown): unknown => (typeof value === 'bigint' ? exact(value) : value);

/** Numbers, texts and NULLs as expressions use them, beside what CEL has of its own. */
export const registerFunctions = (env: Environment): void => {
  for (const [a, b] of operands) {
    for (const [sign, of] of Object.entries(arithmetic))
      env.registerOperator(`${a} ${sign} ${b}`, (x: Number_, y: Number_) => of(exact(x), exact(y)));
    for (const [sign, of] of Object.entries(comparisons))
      env.registerOperator(`${a} ${sign} ${b}`, (x: Number_, y: Number_) => of(exact(x).compare(exact(y))));
  }
  env.registerOperator('Decimal == Decimal', (x: Decimal, y: Decimal) => x.compare(y) === 0);
  env.registerOperator('Decimal == int', (x: Number_, y: Number_) => exact(x).compare(exact(y)) === 0);
  env.registerOperator('-Decimal', (x: Decimal) => x.negated());

  env.registerFunction('decimal(dyn): Decimal', decimalOf);
  env.registerFunction('exact(dyn): dyn', exactly);
  env.registerFunction('round(dyn): Decimal', (n: unknown) => decimalOf(n).rounded(0));
  env.registerFunction('round(dyn, int): Decimal', (n: unknown, places: bigint) =>
    decimalOf(n).rounded(Number(places)),
  );
  env.registerFunction('trunc(dyn): Decimal', (n: unknown) => decimalOf(n).truncated());
  env.registerFunction('abs(dyn): Decimal', (n: unknown) => {
    const value = decimalOf(n);
    return value.digits < 0n ? value.negated() : value;
  });
  env.registerFunction('string(Decimal): string', (n: Decimal) => String(n));
  env.registerFunction('int(Decimal): int', integer);

  env.registerFunction('coalesce(dyn, dyn): dyn', (a: unknown, b: unknown) => exactly(a ?? b));
  env.registerFunction('coalesce(dyn, dyn, dyn): dyn', (a: unknown, b: unknown, c: unknown) => exactly(a ?? b ?? c));
  env.registerFunction('nullif(dyn, dyn): dyn', (a: unknown, b: unknown) =>
    a === b ||
    ((a instanceof Decimal || typeof a === 'bigint') &&
      (b instanceof Decimal || typeof b === 'bigint') &&
      exact(a).compare(exact(b)) === 0)
      ? null
      : a,
  );

  env.registerFunction('string.lower(): string', (text: string) => text.toLowerCase());
  env.registerFunction('string.upper(): string', (text: string) => text.toUpperCase());
  env.registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, () => to),
  );
  env.registerFunction('string.padStart(int, string): string', (text: string, length: bigint, fill: string) =>
    padded(text, Number(length), fill),
  );
  env.registerFunction('string.like(string): bool', (text: string, pattern: string) =>
    linearPattern(pattern).test(text),
  );
  env.registerFunction('string.substring(Decimal): string', (text: string, from: Decimal) =>
    text.slice(Number(integer(from))),
  );
  env.registerFunction('string.substring(int, Decimal): string', (text: string, from: bigint, to: Decimal) =>
    text.slice(Number(from), Number(integer(to))),
  );
};
