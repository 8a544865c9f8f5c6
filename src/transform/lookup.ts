import type { Cancel } from '../model/cancel.ts';
import { convert } from '../model/canon/convert.ts';
import { fit } from '../model/canon/fit.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import { compareKeys } from '../model/order.ts';
import type { Reader } from '../model/reader.ts';
import type { Cell, Key } from '../model/row.ts';
import { type ColumnType, type Table, tableLabel } from '../model/schema.ts';
import type { Selection } from '../model/selected.ts';
import { keyTypes } from '../model/selection.ts';
import type { LookupSettings } from '../model/transform.ts';
import { asStored, columnOf } from './columns.ts';
import { Invalid, quoted } from './value.ts';

/** A look-up of one column, as declared: where it looks, and by what. */
export interface Lookup {
  /** Columns of the row it looks up by, in the order of the key. */
  readonly inputs: readonly string[];
  readonly type: ColumnType;
  /** Opens it for one snapshot of the source. Readers are opened when they are needed. */
  open(source: Endpoint, target: Endpoint): OpenLookup;
}

export interface OpenLookup extends AsyncDisposable {
  /** Reads what these rows need: the cells of `inputs`, row by row. To be awaited before `value`. */
  load(rows: Iterable<readonly Cell[]>, o: Cancel): Promise<void>;
  /** Throws Invalid when there is no such row, or more than one. A NULL among the inputs gives NULL. */
  value(inputs: readonly Cell[]): Cell;
}

/** Found values kept in memory, per look-up. */
const mostKept = 200_000;
/** Keys asked for at once. */
const keysAtOnce = 2000;

/** Throws CONFIG or COLUMN_NOT_FOUND. `table`: the looked-up one; `row`: the table whose rows look up. */
export const compileLookup = (settings: LookupSettings, table: Table, row: Table, where: string): Lookup => {
  const by = Object.entries(settings.by).map(([there, here]) => ({
    there: columnOf(table, there, where),
    here: columnOf(row, here, where),
  }));
  if (by.length === 0)
    throw new LockstepError('CONFIG', `${where}: by is empty`, { hint: 'Write by: { column_there: column_here }.' });
  const value = columnOf(table, settings.value, where);
  const { schema, name } = table;
  const selection: Selection = {
    table: { ...(schema === undefined ? {} : { schema }), name, ...(table.only ? { only: true as const } : {}) },
    columns: [...by.map((b) => b.there), value].map(asStored),
    keyWidth: by.length,
  };
  const types = keyTypes(selection);
  const keyOf = (inputs: readonly Cell[]): Key => inputs.map((cell, i) => convert(cell, by[i]!.here.type, types[i]!));
  /** Can such a key be stored there? What cannot is not asked for: no row has it. */
  const mayBeThere = (key: Key): boolean =>
    key.every((cell, i) => cell !== null && fit(cell, types[i]!, by[i]!.there).ok);
  return {
    inputs: by.map((b) => b.here.name),
    type: value.type,
    open: (source, target) => {
      const endpoint = settings.endpoint === 'source' ? source : target;
      const found = new Map<string, Cell | typeof ambiguous | undefined>();
      let reader: Reader | undefined;
      const read = async (keys: readonly Key[], o: Cancel): Promise<void> => {
        reader ??= await endpoint.snapshot(o);
        for await (const batch of reader.scan(selection, { kind: 'keys', keys }, o))
          for (const cells of batch) {
            const key = JSON.stringify(cells.slice(0, by.length));
            found.set(key, found.get(key) === undefined ? (cells[by.length] ?? null) : ambiguous);
          }
      };
      return {
        load: async (rows, o) => {
          const wanted = new Map<string, Key>();
          for (const inputs of rows) {
            const key = keyOf(inputs);
            const text = JSON.stringify(key);
            if (!found.has(text) && mayBeThere(key)) wanted.set(text, key);
          }
          if (wanted.size === 0) return;
          if (found.size + wanted.size > mostKept) {
            // Values of this very batch may go, too: they are asked for again.
            found.clear();
            for (const inputs of rows) {
              const key = keyOf(inputs);
              if (mayBeThere(key)) wanted.set(JSON.stringify(key), key);
            }
          }
          for (const text of wanted.keys()) found.set(text, undefined);
          const keys = [...wanted.values()].toSorted((a, b) => compareKeys(types, a, b));
          for (let i = 0; i < keys.length; i += keysAtOnce) await read(keys.slice(i, i + keysAtOnce), o);
        },
        value: (inputs) => {
          const key = keyOf(inputs);
          if (key.includes(null)) return null;
          const cell = found.get(JSON.stringify(key));
          const what = (): string =>
            `${tableLabel(table)} has ${cell === ambiguous ? 'more than one row' : 'no row'} with ${key.map((k, i) => `${by[i]!.there.name} ${quoted(k)}`).join(', ')}`;
          if (cell === ambiguous) throw new Invalid(what());
          if (cell === undefined && settings.missing === 'null') return null;
          if (cell === undefined) throw new Invalid(what());
          return cell;
        },
        [Symbol.asyncDispose]: async () => {
          await reader?.[Symbol.asyncDispose]();
        },
      };
    },
  };
};

const ambiguous = Symbol('more than one row');
