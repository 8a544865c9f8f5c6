import type { Column, ColumnType } from '../schema.ts';
import { isTextual } from './convert.ts';

export type Common =
  | { readonly as: ColumnType; readonly warning?: string }
  /** The two types have no common form; the column is not compared. */
  | { readonly as: undefined; readonly reason: string };

/**
 * The wider of two columns' types: what both are rendered as to be compared. Never rounds.
 *
 *   same kind            the wider of the two (bits, precision and scale, fraction, length; json binary if either is)
 *   int, decimal, float  decimal, when they are mixed: a float is its shortest decimal
 *   bool and int         int · bool and decimal: decimal
 *   date, timestamp, instant   the most precise; a timestamp is read as UTC where it meets an instant (a warning)
 *   text and X           text: X's canonical text; but uuid and json win over text
 *   CHAR(n) and text     text: CHAR(n) is trimmed where it is stored, so `ab` as char(5) is `ab` and never `ab   `
 *   one loose side       carries the other's type; what it cannot read is a misfit. Two loose sides: the rules above
 *   bytes                only bytes
 *   unreadable           nothing
 */
export const commonType = (source: Column, target: Column): Common => {
  const unreadable = source.unreadable ?? target.unreadable;
  if (unreadable !== undefined) return { as: undefined, reason: unreadable };
  if (source.loose && !target.loose) return carried(source.type, target.type);
  if (target.loose && !source.loose) return carried(target.type, source.type);
  const as = sameKind(source.type, target.type) ?? mixed(source.type, target.type);
  if (as === undefined) return { as, reason: noCommonForm(source, target) };
  return withWarning(as, source.type, target.type);
};

const withWarning = (as: ColumnType, a: ColumnType, b: ColumnType): Common => {
  const utc = as.kind === 'instant' && a.kind !== b.kind && !isTextual(a.kind) && !isTextual(b.kind);
  return utc ? { as, warning: 'times without a zone on one side are read as UTC' } : { as };
};

/** A loose column (SQLite) carries values of the other column's type. */
const carried = (loose: ColumnType, strict: ColumnType): Common => withWarning(strict, loose, strict);

const describe = (c: Column): string => `${c.name} is ${c.native}`;

const noCommonForm = (source: Column, target: Column): string =>
  `${describe(source)} and ${describe(target)}: no common form to compare them in`;

const sameKind = (a: ColumnType, b: ColumnType): ColumnType | undefined => {
  switch (a.kind) {
    case 'int':
      return b.kind === 'int' ? (a.bits >= b.bits ? a : b) : undefined;
    case 'float':
      return b.kind === 'float' ? (a.bits >= b.bits ? a : b) : undefined;
    case 'decimal':
      return b.kind === 'decimal' ? widerDecimal(a, b) : undefined;
    case 'text':
      return b.kind === 'text' ? widerText(a, b) : undefined;
    case 'time':
    case 'timestamp':
    case 'instant':
      return b.kind === a.kind ? (a.fraction >= b.fraction ? a : b) : undefined;
    case 'json':
      return b.kind === 'json' ? (a.binary ? a : b) : undefined;
    case 'enum':
      return b.kind === 'enum' ? (sameLabels(a.labels, b.labels) ? a : { kind: 'text' }) : undefined;
    case 'opaque':
      return b.kind === 'opaque' && a.native === b.native ? a : undefined;
    default:
      return a.kind === b.kind ? a : undefined;
  }
};

type Decimal = Extract<ColumnType, { kind: 'decimal' }>;
const widerDecimal = (a: Decimal, b: Decimal): ColumnType => {
  const special = a.special || b.special ? ({ special: true } as const) : {};
  if (a.precision === undefined || b.precision === undefined) return { kind: 'decimal', ...special };
  const scale = Math.max(a.scale ?? 0, b.scale ?? 0);
  const whole = Math.max(a.precision - (a.scale ?? 0), b.precision - (b.scale ?? 0));
  return { kind: 'decimal', precision: whole + scale, scale, ...special };
};

type TextType = Extract<ColumnType, { kind: 'text' }>;
const widerText = (a: TextType, b: TextType): ColumnType => {
  const length =
    a.maxLength === undefined || b.maxLength === undefined ? {} : { maxLength: Math.max(a.maxLength, b.maxLength) };
  return { kind: 'text', ...length, ...(a.padded && b.padded ? { padded: true as const } : {}) };
};

const sameLabels = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((label, i) => label === b[i]);

const dates = ['date', 'timestamp', 'instant'];

/** Two types of different kinds, neither a carrier. */
const mixed = (a: ColumnType, b: ColumnType): ColumnType | undefined => {
  const has = (...kinds: string[]): boolean => kinds.includes(a.kind) && kinds.includes(b.kind);
  if (has('int', 'bool')) return a.kind === 'int' ? a : b;
  if (has('int', 'decimal', 'float') || has('decimal', 'bool')) {
    const special = [a, b].some((t) => t.kind === 'float' || (t.kind === 'decimal' && t.special));
    return { kind: 'decimal', ...(special ? { special: true as const } : {}) };
  }
  if (has('date', 'timestamp', 'instant')) {
    const [wider, narrower] = dates.indexOf(a.kind) > dates.indexOf(b.kind) ? [a, b] : [b, a];
    const fraction = Math.max(...[wider, narrower].map((t) => ('fraction' in t ? t.fraction : 0)));
    return { kind: wider.kind as 'timestamp' | 'instant', fraction };
  }
  const other = a.kind === 'text' || a.kind === 'enum' ? b : b.kind === 'text' || b.kind === 'enum' ? a : undefined;
  if (other === undefined || other.kind === 'bytes') return undefined;
  const texts = a.kind === 'text' || b.kind === 'text';
  if (texts && (other.kind === 'uuid' || other.kind === 'json')) return other;
  return texts ? { kind: 'text' } : undefined;
};
