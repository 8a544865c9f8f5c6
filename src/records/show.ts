import type { Principal } from '../access/scopes.ts';
import type { Cell, Row } from '../model/row.ts';
import { sees } from './caller.ts';
import type { Entity, Field } from './entity.ts';

/** How rows are shown to a caller: what to read of them, and their JSON. */
export interface View {
  /** Columns to read. What the caller may not see is not among them. */
  readonly columns: readonly string[];
  json(cells: Row): string;
  /** The cell of a column that was read. */
  cell(cells: Row, column: string): Cell;
}

/** Views of lists of fields that live as long as their entity. */
const made = new WeakMap<readonly Field[], Map<string, View>>();

/** `also`: columns to read besides those that are shown. */
export const viewOf = (principal: Principal, fields: readonly Field[], also: readonly string[] = []): View => {
  const views = made.get(fields) ?? new Map<string, View>();
  made.set(fields, views);
  let name = '';
  for (const f of fields) if (f.unless !== undefined) name += sees(principal, f) ? '1' : '0';
  for (const column of also) name += `,${column}`;
  const known = views.get(name) ?? makeView(principal, fields, also);
  // callers choose the order of lists, and with it what is read
  if (views.size < 100) views.set(name, known);
  return known;
};

const makeView = (principal: Principal, fields: readonly Field[], also: readonly string[]): View => {
  const columns = fields.filter((f) => sees(principal, f)).map((f) => f.name);
  for (const name of also) if (!columns.includes(name)) columns.push(name);
  const at = new Map(columns.map((name, i) => [name, i]));
  const parts = fields.map((f) => ({
    member: f.member,
    json: f.json,
    place: sees(principal, f) ? at.get(f.name)! : -1,
  }));
  return {
    columns,
    json: (cells) => {
      let out = '{';
      for (let i = 0; i < parts.length; i++) {
        const { member, json, place } = parts[i]!;
        if (i > 0) out += ',';
        out += member;
        out += place < 0 ? 'null' : json(cells[place]!);
      }
      return `${out}}`;
    },
    cell: (cells, column) => cells[at.get(column)!]!,
  };
};

/** Names of the key's columns. */
export const keyNames = (entity: Entity): readonly string[] => entity.key.map((f) => f.name);
