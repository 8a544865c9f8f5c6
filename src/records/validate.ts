import type { Principal } from '../access/scopes.ts';
import type { Cell, Row } from '../model/row.ts';
import type { RowCondition } from '../model/rows.ts';
import type { Column } from '../model/schema.ts';
import { sees } from './caller.ts';
import type { Entity, Field } from './entity.ts';
import { type Read, readJson } from './json.ts';
import { type Fault, faulty, pointer } from './problem.ts';

/** Cells that are to be written, by column. */
export interface Written {
  readonly columns: readonly string[];
  readonly cells: Row;
}

type Body = Readonly<Record<string, unknown>>;

const isBody = (value: unknown): value is Body => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * A value that is to be written. SQLite keeps whatever it is given: what is written here must be what the column is
 * declared for, too.
 */
const readWritten = (column: Column, value: unknown): Read => {
  const read = readJson(column, value);
  if (!read.ok || column.loose === undefined) return read;
  const { loose: _, ...declared } = column;
  const strict = readJson(declared, value);
  return strict.ok ? read : strict;
};

/** Why a column that is there cannot be written by this caller; undefined: it can. */
const readOnly = (principal: Principal, field: Field, use: 'created' | 'updated'): string | undefined => {
  if (field.unless !== undefined && !sees(principal, field))
    return `is masked: writing it needs the scope ${field.unless}`;
  if (field[use]) return undefined;
  if (field.column.generated === 'always') return 'is computed by the database';
  return use === 'updated' ? 'cannot be changed' : 'cannot be given';
};

const readCells = (
  entity: Entity,
  principal: Principal,
  body: Body,
  use: 'created' | 'updated',
  at: string,
  faults: Fault[],
): Map<string, Cell> => {
  const cells = new Map<string, Cell>();
  for (const [name, value] of Object.entries(body)) {
    const where = `${at}${pointer(name)}`;
    const field = entity.fields.get(name);
    // what is not shown to anybody is not told of either
    if (!field || !(field.shown || field[use])) {
      faults.push({ pointer: where, detail: 'there is no such column' });
      continue;
    }
    const why = readOnly(principal, field, use);
    if (why !== undefined) {
      faults.push({ pointer: where, detail: why });
      continue;
    }
    const read = readWritten(field.column, value);
    if (read.ok) cells.set(name, read.cell);
    else faults.push({ pointer: where, detail: read.detail });
  }
  return cells;
};

/** A new record is one that its maker can see: the row filter's values are filled in, and others refused. */
const heedFilter = (filter: readonly RowCondition[], cells: Map<string, Cell>, at: string, faults: Fault[]): void => {
  for (const condition of filter) {
    const given = cells.get(condition.column);
    const refuse = (detail: string): void => void faults.push({ pointer: `${at}${pointer(condition.column)}`, detail });
    if (condition.op === 'eq') {
      if (given === undefined) cells.set(condition.column, condition.value);
      else if (given !== condition.value) refuse('must be the value that decides what you may see');
    } else if (condition.op === 'in') {
      const [only] = condition.values;
      if (given === undefined && condition.values.length === 1) cells.set(condition.column, only!);
      else if (given == null || !condition.values.includes(given)) refuse('must be one of the values that you may see');
    } else if (condition.op === 'ne' && given === condition.value) refuse('must not be a value that you may not see');
  }
};

const written = (cells: ReadonlyMap<string, Cell>): Written => ({
  columns: [...cells.keys()],
  cells: [...cells.values()],
});

/** The cells of a new record; BODY with every fault. `at`: where the body stands in the request's. */
export const readNew = (
  entity: Entity,
  principal: Principal,
  body: unknown,
  filter: readonly RowCondition[],
  at = '',
): Written => {
  if (!isBody(body)) throw faulty('BODY', [{ pointer: at, detail: 'expected an object' }]);
  const faults: Fault[] = [];
  const cells = readCells(entity, principal, body, 'created', at, faults);
  heedFilter(filter, cells, at, faults);
  for (const [name, field] of entity.fields) {
    const { nullable, hasDefault, serial, generated } = field.column;
    const filled = nullable || hasDefault || serial || generated !== undefined;
    if (filled || !field.created || cells.has(name) || Object.hasOwn(body, name)) continue;
    faults.push({ pointer: `${at}${pointer(name)}`, detail: 'is required' });
  }
  if (faults.length > 0) throw faulty('BODY', faults);
  return written(cells);
};

/** The cells that a merge-patch sets. */
export const readPatch = (entity: Entity, principal: Principal, body: unknown, at = ''): Written => {
  if (!isBody(body)) throw faulty('BODY', [{ pointer: at, detail: 'expected an object' }]);
  const faults: Fault[] = [];
  const cells = readCells(entity, principal, body, 'updated', at, faults);
  if (faults.length === 0 && cells.size === 0) faults.push({ pointer: at, detail: 'changes nothing' });
  if (faults.length > 0) throw faulty('BODY', faults);
  return written(cells);
};
