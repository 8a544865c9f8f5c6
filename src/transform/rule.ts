import { canonical } from '../model/canon/canonical.ts';
import { isMisfit } from '../model/canon/misfit.ts';
import { characters } from '../model/canon/text.ts';
import { LockstepError } from '../model/errors.ts';
import { compareCells } from '../model/order.ts';
import type { Cell, Text } from '../model/row.ts';
import type { Column } from '../model/schema.ts';
import type { RuleSettings } from '../model/transform.ts';
import { linearPattern } from './pattern.ts';
import { quoted } from './value.ts';

/** Why a value of a column is invalid; undefined when it is valid. */
export type Rule = (cell: Cell) => string | undefined;

/** The rules of one column that look at its value alone. Throws CONFIG when one cannot hold for its type. */
export const columnRules = (column: Column, settings: RuleSettings, where: string): readonly Rule[] => {
  const { name, type } = column;
  const fail = (what: string): LockstepError => new LockstepError('CONFIG', `${where}: ${what}`);
  const cellOf = (text: string): Text => {
    const cell = canonical(type, text);
    if (isMisfit(cell)) throw fail(`${quoted(text)} cannot be read as ${column.native}`);
    return cell;
  };
  const rules: Rule[] = [];
  const add = (invalid: (cell: Text) => boolean, why: (cell: Text) => string): void => {
    rules.push((cell) => (cell !== null && invalid(cell) ? why(cell) : undefined));
  };
  if (settings.notNull) rules.push((cell) => (cell === null ? `${name} is NULL` : undefined));
  if (settings.in) {
    const allowed = new Set<Cell>(settings.in.map((text) => (text === null ? null : cellOf(text))));
    const list = settings.in.slice(0, 8).map((text) => text ?? 'NULL');
    const all = `${list.join(', ')}${settings.in.length > 8 ? ', …' : ''}`;
    add(
      (cell) => !allowed.has(cell),
      (cell) => `${name} is ${quoted(cell)}, none of ${all}`,
    );
  }
  for (const [bound, sign, word] of [
    ['min', -1, 'less than'],
    ['max', 1, 'more than'],
  ] as const) {
    const written = settings[bound];
    if (written === undefined) continue;
    const limit = cellOf(written);
    add(
      (cell) => isMisfit(cell) || Math.sign(compareCells(type, cell, limit)) === sign,
      (cell) => `${name} is ${quoted(cell)}, ${word} ${written}`,
    );
  }
  if (settings.pattern !== undefined) {
    const pattern = ((text: string) => {
      try {
        return linearPattern(text);
      } catch (error) {
        throw fail(`the pattern cannot be read: ${(error as Error).message}`);
      }
    })(settings.pattern);
    add(
      (cell) => !pattern.test(cell),
      (cell) => `${name} is ${quoted(cell)}, which does not match ${settings.pattern}`,
    );
  }
  const { min, max } = settings.length ?? {};
  if (min !== undefined || max !== undefined)
    add(
      (cell) => {
        const length = characters(cell);
        return (min !== undefined && length < min) || (max !== undefined && length > max);
      },
      (cell) => `${name} has ${characters(cell)} characters, not ${min ?? 0} to ${max ?? 'any number'}`,
    );
  return rules;
};
