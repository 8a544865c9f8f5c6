import { convert } from '../model/canon/convert.ts';
import { isMisfit } from '../model/canon/misfit.ts';
import type { ColumnPair } from '../model/pair.ts';
import type { PolicyCase, PolicyFunction, PolicyType, PolicyValues, Side } from '../model/policy.ts';
import type { Cell, Row, Text } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { ThreeWay } from '../model/two-way.ts';

/** What a function of the configuration said. `cells` null: the row goes. */
export type FunctionAnswer =
  | { readonly kind: 'side'; readonly side: Side }
  | { readonly kind: 'ask'; readonly why: string }
  | { readonly kind: 'cells'; readonly cells: ReadonlyMap<number, Cell> | null }
  | undefined;

type Columns = readonly ColumnPair[];

const plain = (column: ColumnPair, cell: Cell): PolicyValues[string] => {
  if (cell === null) return null;
  if (isMisfit(cell)) throw new Error(`${column.source.name} holds what its type cannot read`);
  const { kind } = column.as;
  if (kind === 'bool') return cell === 'true';
  if (kind === 'int') return BigInt(cell);
  return kind === 'float' ? Number(cell) : cell;
};

const valuesOf = (columns: Columns, row: Row | null): PolicyValues | null =>
  row && Object.freeze(Object.fromEntries(columns.map((c, i) => [c.source.name, plain(c, row[i]!)])));

const baseOf = (columns: Columns, base: ThreeWay['base']): PolicyValues | null =>
  base &&
  Object.freeze(
    Object.fromEntries(
      columns.flatMap((c, i) => {
        const cell = base.source[i]!;
        return typeof cell === 'object' && cell !== null ? [] : [[c.source.name, plain(c, cell)]];
      }),
    ),
  );

const types = { string: 'text', boolean: 'bool', bigint: 'decimal', number: 'float' } as const;

/** A value that a function gave, as a cell of the column. Throws for what the column's type cannot read. */
const cellOf = (column: ColumnPair, value: unknown): Cell => {
  if (value === null) return null;
  const given = value instanceof Date ? value.toISOString() : value;
  const kind = types[typeof given as keyof typeof types] as (typeof types)[keyof typeof types] | undefined;
  const text = String(given);
  if (kind === undefined || !text.isWellFormed()) throw new Error(`it gives no value for ${column.source.name}`);
  const from: ColumnType = kind === 'float' ? { kind, bits: 64 } : { kind };
  const cell = convert(text as Text, from, column.as);
  if (isMisfit(cell)) throw new Error(`what it gives for ${column.source.name} is no ${column.as.kind}`);
  return cell;
};

const cellsOf = (
  columns: Columns,
  keyWidth: number,
  open: readonly number[],
  row: Readonly<Record<string, unknown>>,
): ReadonlyMap<number, Cell> => {
  const cells = new Map<number, Cell>();
  for (const [name, value] of Object.entries(row)) {
    const index = columns.findIndex((c) => c.source.name === name);
    if (index < 0) throw new Error(`it gives a value for ${name}, which is no column of the pair`);
    if (index < keyWidth) throw new Error(`it gives a value for ${name}, which is in the key`);
    cells.set(index, cellOf(columns[index]!, value));
  }
  const missing = open.find((i) => !cells.has(i));
  if (missing !== undefined) throw new Error(`it gives a row without ${columns[missing]!.source.name}`);
  return cells;
};

/** Asks a function of the configuration. Whatever is wrong with it or its answer sends the conflict to a person. */
export const askFunction = (
  decide: PolicyFunction,
  pair: { readonly name: string; readonly columns: Columns; readonly keyWidth: number },
  row: ThreeWay,
  type: PolicyType,
  open: readonly number[],
): FunctionAnswer => {
  const { columns, keyWidth } = pair;
  try {
    const c: PolicyCase = Object.freeze({
      pair: pair.name,
      type,
      key: valuesOf(columns.slice(0, keyWidth), row.key)!,
      columns: Object.freeze(open.map((i) => columns[i]!.source.name)),
      base: baseOf(columns, row.base),
      source: valuesOf(columns, row.source),
      target: valuesOf(columns, row.target),
    });
    const answer: unknown = decide(c);
    if (answer === undefined) return undefined;
    if (answer === 'source' || answer === 'target') return { kind: 'side', side: answer };
    if (answer === 'ask') return { kind: 'ask', why: 'the function asks for a person' };
    const given = answer !== null && typeof answer === 'object' && 'row' in answer ? answer.row : undefined;
    if (given === null) return { kind: 'cells', cells: null };
    if (typeof given !== 'object')
      throw new Error(
        answer instanceof Promise
          ? 'it gives a promise, and must answer at once'
          : "it must give 'source', 'target', 'ask', { row } or nothing",
      );
    return { kind: 'cells', cells: cellsOf(columns, keyWidth, open, given as Readonly<Record<string, unknown>>) };
  } catch (error) {
    return { kind: 'ask', why: `the function failed: ${error instanceof Error ? error.message : String(error)}` };
  }
};
