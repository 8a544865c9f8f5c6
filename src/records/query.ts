import type { Principal } from '../access/scopes.ts';
import type { Text } from '../model/row.ts';
import type { RowCondition, RowOrder } from '../model/rows.ts';
import { sees } from './caller.ts';
import type { Entity, Field } from './entity.ts';
import { expectation, mostDigits, readFilter, tooLong } from './json.ts';
import { type Fault, faulty, pointer, RecordProblem } from './problem.ts';

/** What a list is asked for, in the entity's own terms. */
export interface ListQuery {
  readonly fields: readonly Field[];
  readonly where: readonly RowCondition[];
  readonly order: readonly RowOrder[];
  readonly limit: number;
  readonly cursor: string | undefined;
}

/** Parameters of a URL as they came: a name may be there several times. */
export type Parameters = Readonly<Record<string, string | readonly string[] | undefined>>;

const defaultLimit = 50;
const mostValues = 100;
const mostConditions = 30;

const comparisons = new Set(['eq', 'ne', 'gt', 'gte', 'lt', 'lte']);

/** The values of `in.(a,b,"c,d")`; undefined: it cannot be read. */
const listOf = (text: string): readonly string[] | undefined => {
  const inner = /^\((.*)\)$/s.exec(text)?.[1];
  if (inner === undefined || inner === '') return undefined;
  const values: string[] = [];
  const item = /"((?:[^"\\]|\\.)*)"(?:,|$)|([^",]*)(?:,|$)/sy;
  for (let at = 0; at <= inner.length; ) {
    item.lastIndex = at;
    const m = item.exec(inner);
    if (!m) return undefined;
    values.push(m[1] === undefined ? m[2]! : m[1].replace(/\\(.)/gs, '$1'));
    at = item.lastIndex;
    if (at >= inner.length) return inner.endsWith(',') && m[0].endsWith(',') ? [...values, ''] : values;
  }
  return values;
};

const twice = 'names a column twice';

/** One condition: `eq.17`, `in.(a,b)`, `like.ab*`, `is.null`. A text says what is wrong. */
const conditionOf = (field: Field, text: string): RowCondition | string => {
  const { type } = field.column;
  const column = field.name;
  const dot = text.indexOf('.');
  const op = dot < 0 ? text : text.slice(0, dot);
  const rest = dot < 0 ? '' : text.slice(dot + 1);
  const value = (raw: string): Text | undefined => readFilter(type, raw);
  const long = `takes decimals of up to ${mostDigits} digits`;
  if (dot >= 0 && comparisons.has(op)) {
    if (tooLong(type, rest)) return long;
    const cell = value(rest);
    if (cell === undefined) return `expected ${op}. and ${expectation(type).replace(/,? as a string.*$/, '')}`;
    return { column, op: op as 'eq', value: cell };
  }
  switch (op) {
    case 'is':
      if (rest === 'null' || rest === 'not_null') return { column, op: 'null', is: rest === 'null' };
      return 'expected is.null or is.not_null';
    case 'in': {
      const list = listOf(rest);
      if (list === undefined) return 'expected in.(a,b,c)';
      if (list.length > mostValues) return `takes up to ${mostValues} values`;
      if (list.some((raw) => tooLong(type, raw))) return long;
      const cells = list.map(value);
      if (cells.includes(undefined)) return `expected values that are ${expectation(type)}`;
      return { column, op: 'in', values: cells as Text[] };
    }
    case 'like':
      if (type.kind !== 'text') return 'like is for columns of text';
      if (rest.length > 200 || rest.split('*').length > 6)
        return 'expected a pattern of up to 200 characters and five *';
      return { column, op: 'like', parts: rest.split('*') };
    default:
      return `expected a condition: ${type.kind === 'text' ? `eq.${'value'}, in.(a,b), like.ab*` : 'eq.value, gte.value, in.(a,b)'}, is.null`;
  }
};

const texts = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

/** Reads the parameters of a list. RecordProblem PARAMETER names each that is wrong; none is passed over. */
export const readList = (
  entity: Entity,
  principal: Principal,
  parameters: Parameters,
  fixed: readonly RowCondition[] = [],
): ListQuery => {
  const faults: Fault[] = [];
  const wrong = (name: string, detail: string): void => void faults.push({ pointer: `/query${pointer(name)}`, detail });
  /** A column for `use`. One that is masked for the caller cannot be told by how rows are chosen or ordered. */
  const usable = (parameter: string, name: string, use: 'filtered' | 'sorted' | 'shown'): Field | undefined => {
    const field = entity.fields.get(name);
    if (field?.[use] && (use === 'shown' || sees(principal, field))) return field;
    const word = { filtered: 'filtered by', sorted: 'sorted by', shown: 'shown' }[use];
    const possible = [...entity.fields.values()].filter((f) => f[use] && (use === 'shown' || sees(principal, f)));
    if (use === 'filtered' && field === undefined)
      wrong(parameter, `there is no parameter ${name}; filters: ${possible.map((f) => f.name).join(', ') || 'none'}`);
    else
      wrong(
        parameter,
        `${JSON.stringify(name)} cannot be ${word}; columns that can: ${possible.map((f) => f.name).join(', ') || 'none'}`,
      );
    return undefined;
  };

  const where: RowCondition[] = [...fixed];
  let order: readonly RowOrder[] = [];
  let fields: readonly Field[] = entity.shown;
  let limit = Math.min(defaultLimit, entity.config.maxPage);
  let cursor: string | undefined;
  for (const [name, given] of Object.entries(parameters)) {
    const all = texts(given);
    const one = all[0] ?? '';
    if (all.length > 1 && ['limit', 'cursor', 'sort', 'fields'].includes(name)) wrong(name, 'is given more than once');
    switch (name) {
      case 'limit':
        if (/^\d{1,4}$/.test(one) && Number(one) >= 1 && Number(one) <= entity.config.maxPage) limit = Number(one);
        else wrong(name, `expected a number from 1 to ${entity.config.maxPage}`);
        break;
      case 'cursor':
        cursor = one;
        break;
      case 'sort': {
        const named = one
          .split(',')
          .map((part) => ({ column: part.replace(/^-/, ''), descending: part.startsWith('-') }));
        if (new Set(named.map((n) => n.column)).size < named.length) wrong(name, twice);
        order = named.filter(({ column }) => usable(name, column, 'sorted'));
        break;
      }
      case 'fields': {
        const named = one.split(',');
        if (new Set(named).size < named.length) wrong(name, twice);
        else fields = named.flatMap((column) => usable(name, column, 'shown') ?? []);
        break;
      }
      default: {
        const field = usable(name, name, 'filtered');
        if (!field) break;
        for (const text of all) {
          const condition = conditionOf(field, text);
          if (typeof condition === 'string') wrong(name, condition);
          else where.push(condition);
        }
      }
    }
  }
  if (where.length > mostConditions) wrong('', `takes up to ${mostConditions} conditions`);
  if (faults.length > 0) throw faulty('PARAMETER', faults);
  return { fields, where, order, limit, cursor };
};

/** The columns that an answer of one record shows: `fields=a,b`, or all. */
export const readFields = (entity: Entity, parameters: Parameters): readonly Field[] => {
  const odd = Object.keys(parameters).find((name) => name !== 'fields');
  if (odd !== undefined) {
    const errors = [{ pointer: `/query${pointer(odd)}`, detail: 'there is no such parameter; only fields' }];
    throw faulty('PARAMETER', errors);
  }
  const given = parameters['fields'];
  if (given === undefined) return entity.shown;
  const names = texts(given).join(',').split(',');
  if (new Set(names).size < names.length) throw faulty('PARAMETER', [{ pointer: '/query/fields', detail: twice }]);
  return names.map((name) => {
    const field = entity.fields.get(name);
    if (field?.shown) return field;
    throw new RecordProblem('PARAMETER', `/query/fields: ${JSON.stringify(name)} cannot be shown`, {
      errors: [{ pointer: '/query/fields', detail: `columns: ${entity.shown.map((f) => f.name).join(', ')}` }],
    });
  });
};
