import { convert } from '../model/canon/convert.ts';
import { fit } from '../model/canon/fit.ts';
import { isMisfit } from '../model/canon/misfit.ts';
import { shownCell, visibleText } from '../model/canon/show.ts';
import type { Cell, Text } from '../model/row.ts';
import type { Column, ColumnType } from '../model/schema.ts';
import { Decimal } from './decimal.ts';

/** A cell as expressions see it: numbers are exact decimals, everything but flags is text. */
export type Value = Decimal | string | boolean | null;

/** What cannot be made of a row: its message is the reason that is kept with the row. */
export class Invalid extends Error {}

const decimal: ColumnType = { kind: 'decimal', special: true };
const text: ColumnType = { kind: 'text' };

/** The reason that an Invalid gives; any other error is thrown on. */
export const invalidReason = (error: unknown): string => {
  if (error instanceof Invalid) return error.message;
  throw error;
};

/** A stored value that its column's type cannot read is not handed to anybody. */
const readable = (cell: Text, name: string, type: ColumnType): Text => {
  if (isMisfit(cell))
    throw new Invalid(`${name} holds ${quoted(shownCell(cell, type) ?? '')}, which is no ${type.kind}`);
  return cell;
};

/** For messages. */
export const quoted = (value: string | null): string =>
  value === null ? 'NULL' : `'${visibleText(value.length > 60 ? `${value.slice(0, 60)}…` : value)}'`;

const isNumber = (type: ColumnType): boolean => type.kind === 'int' || type.kind === 'decimal' || type.kind === 'float';

/** A cell for an expression. Throws Invalid for what cannot be calculated with. */
export const toValue = (cell: Cell, name: string, type: ColumnType): Value => {
  if (cell === null) return null;
  const plain = readable(cell, name, type);
  if (type.kind === 'bool') return plain === 'true';
  if (!isNumber(type)) return plain;
  const number = convert(plain, type, decimal) as Text;
  if (/[Ny]$/.test(number)) throw new Invalid(`${name} is ${number}, which cannot be calculated with`);
  return Decimal.of(number);
};

/** A cell for a function written in TypeScript: integers are bigint, decimals text, so that nothing is lost. */
export const toPlain = (cell: Cell, name: string, type: ColumnType): string | bigint | number | boolean | null => {
  if (cell === null) return null;
  const plain = readable(cell, name, type);
  if (type.kind === 'bool') return plain === 'true';
  if (type.kind === 'int') return BigInt(plain);
  return type.kind === 'float' ? Number(plain) : plain;
};

/** What an expression or function gave, as canonical text and its type. Throws Invalid for what is no value. */
export const cellOf = (value: unknown): { readonly cell: Cell; readonly type: ColumnType } => {
  if (value === null || value === undefined) return { cell: null, type: text };
  if (value instanceof Decimal) return { cell: String(value) as Text, type: decimal };
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new Invalid('it gives a date that is none');
    return { cell: value.toISOString() as Text, type: text };
  }
  switch (typeof value) {
    case 'string':
      // Cut in two, a character beyond U+FFFF would stand for bytes, or for a value that no type reads.
      if (!value.isWellFormed()) throw new Invalid('it gives a text with half of a character in it');
      return { cell: value as Text, type: text };
    case 'boolean':
      return { cell: String(value) as Text, type: { kind: 'bool' } };
    case 'bigint':
      return { cell: String(value) as Text, type: decimal };
    case 'number':
      return {
        cell: convert(String(value) as Text, text, { kind: 'float', bits: 64 }),
        type: { kind: 'float', bits: 64 },
      };
    default:
      throw new Invalid(
        `it gives ${Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`}, not a value`,
      );
  }
};

/** A cell of any type as a cell of a column. Throws Invalid when its type cannot read it; `strict`: nor hold it. */
export const cast = (cell: Cell, from: ColumnType, column: Column, strict: boolean): Cell => {
  if (cell === null) return null;
  const made = convert(cell, from, column.type);
  if (isMisfit(made)) throw new Invalid(`${quoted(shownCell(cell, from))} cannot be read as ${column.native}`);
  const fitted = strict ? fit(made, column.type, column) : undefined;
  if (fitted?.ok === false) throw new Invalid(fitted.reason);
  return made;
};
