import type { Clock } from '../../lib/clock.ts';
import type { QueryReport } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { ApiClient } from './client.ts';
import { incompleteList } from './incomplete.ts';
import { isObject, type Json, jsonOf } from './json.ts';
import { pages } from './pages.ts';
import { valueAt } from './pointer.ts';
import type { Shape } from './shape.ts';
import { type Item, Spool } from './spool.ts';
import { cellOf } from './values.ts';

export interface Reading {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly onQuery?: ((q: QueryReport) => void) | undefined;
}

/** A list that changes while it is read is read again so often before it is called incomplete. */
const attempts = 3;
const pauseMs = 200;

/** The item as it is spooled. Throws when it is none, or has no key. */
export const itemOf = (side: string, shape: Shape, item: Json): Item => {
  const { resource, key } = shape;
  if (!isObject(item))
    throw new LockstepError('DATABASE', `${side}: the list ${resource.list.label} holds something that is no object`, {
      side,
      hint: 'Check `list.items` of the resource: it must lead to a list of objects.',
    });
  if (shape.inferred) refuseUnknown(side, shape, item);
  const cells = key.map((c) => cellOf(c, valueAt(item, c.field)));
  if (cells.includes(null))
    throw new LockstepError(
      'KEY_MISSING',
      `${side}: an item of ${resource.list.label} has no ${key[cells.indexOf(null)]!.name}`,
      {
        side,
        hint: 'Every item needs its key: check `key` and `columns` of the resource.',
      },
    );
  return {
    key: key.length === 0 ? undefined : JSON.stringify(cells),
    json: jsonOf(item),
  };
};

const refuseUnknown = (side: string, { resource, columns }: Shape, item: Json): void => {
  for (const name of Object.keys(item as object))
    if (!columns.some((c) => c.name === name))
      throw new LockstepError(
        'SCHEMA_DRIFT',
        `${side}: an item of ${resource.list.label} has a field ${JSON.stringify(name)} that the first page did not show`,
        {
          side,
          hint: `Declare the columns of ${resource.name}: what is inferred holds only for what the first page shows.`,
        },
      );
};

/** One pass over all pages. Throws INCOMPLETE. */
const readOnce = async (
  r: Reading,
  shape: Shape,
  spool: Spool,
  o: { readonly signal: AbortSignal; readonly query?: Readonly<Record<string, string>> },
): Promise<void> => {
  const { side } = r.client;
  const { list } = shape.resource;
  let announced: number | undefined;
  spool.db.exec('begin');
  try {
    for await (const page of pages(r.client, list, o)) {
      if (announced !== undefined && page.total !== undefined && page.total !== announced)
        throw incompleteList(side, list.label, `its total went from ${announced} to ${page.total} while it was read`);
      announced = page.total ?? announced;
      const repeated = spool.add(page.items.map((item) => itemOf(side, shape, item)));
      if (repeated !== undefined)
        throw incompleteList(
          side,
          list.label,
          `after ${spool.items} items one came a second time (key ${shape.key.map((c) => c.name).join(', ')})`,
        );
    }
  } finally {
    spool.db.exec('commit');
  }
  if (announced !== undefined && announced !== spool.items)
    throw incompleteList(side, list.label, `${spool.items} of ${announced} announced items were read`);
};

/**
 * Reads a whole list. Rejects with INCOMPLETE when it ended early, repeated a page or a key, or changed its total, and
 * did so each time it was tried.
 */
export const enumerate = async (
  r: Reading,
  shape: Shape,
  o: { readonly signal: AbortSignal; readonly query?: Readonly<Record<string, string>> },
): Promise<Spool> => {
  const asked = new URLSearchParams(o.query).toString();
  for (let attempt = 1; ; attempt++) {
    const began = r.clock.elapsed();
    const spool = new Spool();
    try {
      await readOnce(r, shape, spool, o);
      r.onQuery?.({
        side: r.client.side,
        sql: `GET ${shape.resource.list.label}${asked === '' ? '' : `?${asked}`}`,
        rows: spool.items,
        bytes: spool.bytes,
        elapsedMs: r.clock.elapsed() - began,
      });
      return spool;
    } catch (error) {
      spool[Symbol.dispose]();
      const again = error instanceof LockstepError && error.code === 'INCOMPLETE' && attempt < attempts;
      if (!again) throw error;
      await r.clock.sleep(pauseMs * attempt, o.signal);
    }
  }
};
