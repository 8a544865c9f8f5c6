import { LockstepError } from '../../model/errors.ts';
import type { Key, Row } from '../../model/row.ts';
import type { Selection } from '../../model/selected.ts';
import { plainKey } from '../../model/selection.ts';
import { id } from '../sql/quote.ts';
import { type CatalogueTable, rowidName } from './catalogue.ts';
import { rawExpressions, rawImage } from './cells.ts';
import type { Bind, Database, Value } from './database.ts';
import { type KeyOrder, keyBinds } from './key-order.ts';
import type { Slots } from './scan.ts';

/** A row as it is stored, and the condition that names it and no other. */
export interface Located {
  readonly row: Row;
  readonly where: string;
  readonly values: readonly Bind[];
}

/** Finds whole native rows of one table by their canonical keys. */
export interface Locator {
  /** By key, as text; absent keys are left out. */
  find(keys: readonly Key[]): Map<string, Located>;
  /** Reads a row again. */
  again(located: Pick<Located, 'where' | 'values'>): Row | null;
  /** The row that was inserted last into a table with rowids. */
  inserted(rowid: bigint): Located | undefined;
}

export const keyName = (key: Key): string => JSON.stringify(key);

export const locator = (
  db: Database,
  slots: Slots,
  catalogue: CatalogueTable,
  selection: Selection,
  order: KeyOrder,
): Locator => {
  const table = id(selection.table.name);
  const { columns, keyWidth } = selection;
  const rowid = rowidName(catalogue);
  /** Without rowids the primary key's stored values name the row. */
  const identity = rowid === undefined ? (catalogue.table.uniques.find((u) => u.primary)?.columns ?? []) : undefined;
  const named = rowid === undefined ? identity!.map(rawExpressions) : [rowid];
  const selected = [...named, ...columns.map((c) => rawExpressions(c.name))].join(', ');
  if (named.length === 0) throw new LockstepError('NOT_WRITABLE', `${selection.table.name} is a view.`);

  const read = (values: readonly Value[]): Located => {
    const from = rowid === undefined ? 2 * identity!.length : 1;
    const row = columns.map((c, i) => rawImage(c, values[from + 2 * i]!, values[from + 2 * i + 1]!, db.encoding));
    if (rowid !== undefined) return { row, where: `${rowid} = ?`, values: [values[0]!] };
    const where = identity!.map((name, i) => {
      const value = values[2 * i] === 'text' ? 'cast(? as text)' : '?';
      return `${id(name)} = ${value} and ${id(name)} collate binary = ${value}`;
    });
    return {
      row,
      where: where.join(' and '),
      values: identity!.flatMap((_, i) => [values[2 * i + 1]!, values[2 * i + 1]!]),
    };
  };

  const find = (keys: readonly Key[]): Map<string, Located> => {
    const found = new Map<string, Located>();
    const add = (values: readonly Value[]): void => {
      const located = read(values);
      const name = keyName(plainKey(selection, located.row));
      if (found.has(name)) {
        throw new LockstepError('DATABASE', `${selection.table.name} has two rows of one key, so neither is written.`, {
          hint: 'Make the key unique, or leave these rows out.',
        });
      }
      found.set(name, located);
    };
    if (order.plain) {
      for (const key of keys) {
        const binds = keyBinds(selection, key, db);
        if (!binds) continue;
        const where = binds.map((b, i) => `${id(columns[i]!.name)} = ${b.sql} and ${order.expressions[i]} = ${b.sql}`);
        const values = binds.flatMap((b) => [b.value, b.value]);
        for (const row of db.all(`select ${selected} from ${table} where ${where.join(' and ')}`, ...values)) add(row);
      }
      return found;
    }
    const wanted = new Set(keys.map(keyName));
    const key = columns.slice(0, keyWidth);
    const slot = slots.take({ columns: key, keep: (k) => wanted.has(keyName(k)) });
    try {
      const keep = `lockstep_keep(${slot}, ${key.map((c) => rawExpressions(c.name)).join(', ')})`;
      for (const row of db.iterate(`select ${selected} from ${table} where ${keep}`)) add(row);
    } finally {
      slots.release(slot);
    }
    return found;
  };

  return {
    find,
    again: ({ where, values }) => {
      const row = db.get(`select ${selected} from ${table} where ${where}`, ...values);
      return row === undefined ? null : read(row).row;
    },
    inserted: (number) => {
      if (rowid === undefined) return undefined;
      const row = db.get(`select ${selected} from ${table} where ${rowid} = ?`, number);
      return row === undefined ? undefined : read(row);
    },
  };
};
