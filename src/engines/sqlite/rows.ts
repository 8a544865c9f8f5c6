import type { Cancel } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { RowAccess, RowOutcome, TableRows } from '../../model/rows.ts';
import { abortError, type Connection } from './connection.ts';
import type { RowArgs, RowValue } from './row-messages.ts';

/** Waits for an answer as long as the signal lets it: aborting a call would kill the process that others ask, too. */
const orStopped = async <T>(work: Promise<T>, { signal }: Cancel, side: string): Promise<T> => {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(abortError(signal, side));
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
};

/** Rows one by one, through one connection of their own; it is opened when it is first needed, and again when it has ended. */
export const sqliteRows = (x: {
  readonly side: string;
  readonly writable: boolean;
  open(o: Cancel): Promise<Connection>;
  readonly closed: AbortSignal;
}): RowAccess => {
  let opening: Promise<Connection> | undefined;
  const connection = async (): Promise<Connection> => {
    for (;;) {
      opening ??= x.open({ signal: x.closed });
      const mine = opening;
      const forget = (): void => {
        if (opening === mine) opening = undefined;
      };
      try {
        const opened = await mine;
        if (!opened.ended) return opened;
        forget();
      } catch (error) {
        forget();
        throw error;
      }
    }
  };
  const ask = async (args: RowArgs, o: Cancel): Promise<RowValue> => {
    if (o.signal.aborted) throw abortError(o.signal, x.side);
    const call = connection().then((c) => c.call('rows', args, { signal: x.closed }));
    call.catch(() => {});
    return orStopped(call, o, x.side);
  };
  return {
    of: async (table, key, o): Promise<TableRows> => {
      const of = (call: RowArgs['ask'], c: Cancel): Promise<RowValue> => ask({ table, key, ask: call }, c);
      await of({ call: 'sortable' }, o);
      const unexpected = (): LockstepError => new LockstepError('INTERNAL', `${x.side}: an answer of another kind`);
      const write: TableRows['write'] = async (writes, { columns, atomic }, c) => {
        // each its own transaction, or all one
        const outcomes: RowOutcome[] = [];
        for (const some of atomic ? [writes] : writes.map((w) => [w])) {
          const value = await of({ call: 'write', writes: some, columns }, c);
          if (!('outcomes' in value)) throw unexpected();
          outcomes.push(...value.outcomes);
        }
        return outcomes;
      };
      return {
        sortable: (name) =>
          table.columns.some((c) => c.name === name && c.type.kind !== 'json' && c.type.kind !== 'opaque'),
        list: async (page, c) => {
          const value = await of({ call: 'list', page }, c);
          if ('rows' in value) return value.rows;
          throw unexpected();
        },
        count: async (where, _how, c) => {
          const value = await of({ call: 'count', where }, c);
          if ('count' in value) return value.count;
          throw unexpected();
        },
        get: async (cells, q, c) => {
          const value = await of({ call: 'get', key: cells, ...q }, c);
          if ('found' in value) return value.found ?? undefined;
          throw unexpected();
        },
        ...(x.writable && table.kind === 'table' ? { write } : {}),
      };
    },
  };
};
