import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { RowAccess, RowOutcome, TableRows } from '../../model/rows.ts';
import { abortError, type Connection } from './connection.ts';
import type { RowArgs, RowValue } from './row-messages.ts';

/** Waits for an answer as long as the signal lets it. */
const orStopped = async <T>(work: Promise<T>, { signal }: Cancel, side: string): Promise<T> => {
  if (signal.aborted) throw abortError(signal, side);
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(abortError(signal, side));
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
};

/** How long a read goes on that nobody waits for: most end sooner, and starting a process costs about as much. Milliseconds. */
const patienceMs = 100;

interface Connecting {
  readonly side: string;
  readonly closed: AbortSignal;
  open(o: Cancel): Promise<Connection>;
}

/** One connection that is opened when it is first needed, and again when it has ended. */
const reopened = (x: Connecting): (() => Promise<Connection>) => {
  let opening: Promise<Connection> | undefined;
  return async () => {
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
};

type Ask = (args: RowArgs, o: Cancel) => Promise<RowValue>;

/**
 * Reads of all who ask, through one process that answers in order. A read that nobody waits for any more and that goes on
 * is ended with its process; those behind it are asked again of another one.
 */
const reads = (x: Connecting): Ask => {
  const connection = reopened(x);
  const asked: { readonly at: Connection; left: boolean; timer?: NodeJS.Timeout }[] = [];
  const killed = new WeakSet<Connection>();
  /** Only the first is at work: one behind it costs nothing yet. */
  const look = (): void => {
    const [first] = asked;
    if (first?.left !== true) return;
    first.timer ??= setTimeout(() => {
      killed.add(first.at);
      first.at.kill(new LockstepError('ABORTED', `${x.side}: a read was stopped that nobody waits for.`));
    }, patienceMs);
  };
  return async (args, o) => {
    for (;;) {
      const at = await orStopped(connection(), o, x.side);
      const mine: (typeof asked)[number] = { at, left: false };
      const leave = (): void => {
        mine.left = true;
        look();
      };
      asked.push(mine);
      o.signal.addEventListener('abort', leave, { once: true });
      const call = at.call('rows', args, { signal: x.closed }).finally(() => {
        o.signal.removeEventListener('abort', leave);
        clearTimeout(mine.timer);
        asked.splice(asked.indexOf(mine), 1);
        look();
      });
      call.catch(() => {});
      try {
        return await orStopped(call, o, x.side);
      } catch (error) {
        if (!killed.has(at) || o.signal.aborted || x.closed.aborted) throw error;
      }
    }
  };
};

/** Writes, through a process that no read can end: whether one that was under way is done would not be known. */
const writes = (x: Connecting): Ask => {
  const connection = reopened(x);
  return (args, o) => {
    if (o.signal.aborted) return Promise.reject(abortError(o.signal, x.side));
    const call = connection().then((c) => c.call('rows', args, { signal: x.closed }));
    call.catch(() => {});
    return orStopped(call, o, x.side);
  };
};

/** Rows one by one, through two connections of their own. `open`: read-only, or to write. */
export const sqliteRows = (x: {
  readonly side: string;
  readonly writable: boolean;
  open(readOnly: boolean, o: Cancel): Promise<Connection>;
  readonly closed: AbortSignal;
}): RowAccess => {
  const read = reads({ ...x, open: (o) => x.open(true, o) });
  const change = writes({ ...x, open: (o) => x.open(false, o) });
  const ask: Ask = (args, o) => (args.ask.call === 'write' ? change : read)(args, o);
  return {
    of: async (table, key, o): Promise<TableRows> => {
      const of = (call: RowArgs['ask'], c: Cancel): Promise<RowValue> => ask({ table, key, ask: call }, c);
      await of({ call: 'sortable' }, o);
      const unexpected = (): LockstepError => new LockstepError('INTERNAL', `${x.side}: an answer of another kind`);
      const write: TableRows['write'] = async (all, { columns, atomic }, c) => {
        // each its own transaction, or all one
        const outcomes: RowOutcome[] = [];
        for (const some of atomic ? [all] : all.map((w) => [w])) {
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
