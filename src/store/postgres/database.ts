import type pg from 'pg';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Connector } from './connector.ts';
import { Copied, type CopiedColumn } from './copied.ts';
import { storeError } from './errors.ts';
import { type Patience, usualPatience, watchHost } from './vanished.ts';
import { type PlaceOf, type Vault, vaultOf } from './vault.ts';

export type Rows = readonly Record<string, unknown>[];

/** One connection, borrowed. Calls must not overlap. */
export interface Connection {
  /**
   * `name` prepares the statement once per connection. Aborting cancels it in the server. Of `values` a function is
   * `Kept`: what it makes is encrypted where the store has a key. What comes back is plain; `place` says where the
   * values of a row must have been locked.
   */
  query(
    sql: string,
    values: readonly unknown[],
    o: Cancel & { readonly name?: string; readonly place?: PlaceOf },
  ): Promise<Rows>;
  /** The same for a query without parameters that gives many bytes: they come as they are, not as text. */
  copied(sql: string, columns: readonly CopiedColumn[], o: Cancel & { readonly place?: PlaceOf }): Promise<Rows>;
}

/**
 * A few connections shared by the ports, and one more that holds what must end with this process: session-level
 * advisory locks. A connection that broke is replaced by the next call; locks that were held are taken again.
 */
export interface Database extends AsyncDisposable {
  readonly description: string;
  /** What values of rows are encrypted with. */
  readonly vault: Vault;
  query: Connection['query'];
  copied: Connection['copied'];
  /** Keeps one connection for `use`. */
  lend<T>(o: Cancel, use: (connection: Connection) => Promise<T>): Promise<T>;
  /** Like `lend`, for longer; closed instead of reused when `give` is told that it is spoilt. */
  take(o: Cancel): Promise<{ readonly connection: Connection; give(spoilt?: boolean): void }>;
  /** Takes the lock for as long as this process lives; false when another one has it. */
  hold(lock: string, o: Cancel): Promise<boolean>;
  letGo(lock: string, o: Cancel): Promise<void>;
}

const maxConnections = 8;
const maxIdle = 4;

/** SQL that turns the text parameter into the key of an advisory lock. */
export const lockKey = (parameter: string): string => `hashtextextended(${parameter}, 7017282394)`;

const wrap = (client: pg.Client, connector: Connector, patience: Patience, vault: Vault): Connection => {
  const watched = async <T>(o: Cancel, ask: () => Promise<T>): Promise<T> => {
    o.signal.throwIfAborted();
    let cancelling: Promise<void> | undefined;
    const cancel = (): void => {
      cancelling = cancelBackend(client, connector);
    };
    o.signal.addEventListener('abort', cancel, { once: true });
    const answered = watchHost(client, connector, patience);
    try {
      return await ask();
    } catch (cause) {
      o.signal.throwIfAborted();
      if (cause instanceof LockstepError) throw cause;
      throw connector.explain?.(cause, client) ?? storeError(cause, connector.description);
    } finally {
      answered();
      o.signal.removeEventListener('abort', cancel);
      await cancelling;
    }
  };
  return {
    query: (sql, values, o) =>
      watched(o, async () => {
        const sent = await vault.lock(values, async (text, some) => (await client.query(text, [...some])).rows);
        const result = await client.query({ text: sql, values: [...sent], ...(o.name ? { name: o.name } : {}) });
        // Several statements at once give several results.
        const several = result as pg.QueryResult | readonly pg.QueryResult[];
        const rows = Array.isArray(several) ? several.flatMap((r: pg.QueryResult) => r.rows ?? []) : result.rows;
        await vault.unlock(rows, o.place);
        return rows;
      }),
    copied: (sql, columns, o) =>
      watched(o, async () => {
        const copied = new Copied(sql, columns);
        client.query(copied);
        const rows = await copied.rows;
        await vault.unlock(rows, o.place);
        return rows;
      }),
  };
};

/** Asks the server to stop what the connection is doing. Best effort: the connection may be gone. */
const cancelBackend = async (client: pg.Client, connector: Connector): Promise<void> => {
  const pid = (client as unknown as { readonly processID: number | null }).processID;
  if (pid === null) return;
  try {
    const o = { signal: AbortSignal.timeout(10_000) };
    const other = await (connector.beside?.(client, o) ?? connector.connect(o));
    await other.query('select pg_catalog.pg_cancel_backend($1)', [pid]);
    await other.end();
  } catch {
    client.end().catch(() => {});
  }
};

interface Pooled {
  readonly client: pg.Client;
  broken: boolean;
}

/** `vault`: encrypts what is kept of rows; default: as it is. */
export const openDatabase = (
  connector: Connector,
  patience = usualPatience,
  vault = vaultOf(connector, () => ({ current: undefined, previous: [] })),
): Database => {
  const idle: Pooled[] = [];
  const all = new Set<Pooled>();
  const waiting: (() => void)[] = [];
  const held = new Set<string>();
  let lockHolder: Promise<Pooled> | undefined;
  let lockQueue: Promise<unknown> = Promise.resolve();
  let places = maxConnections;

  const connect = async (o: Parameters<Connector['connect']>[0]): Promise<Pooled> => {
    const pooled: Pooled = { client: await connector.connect(o), broken: false };
    all.add(pooled);
    const broken = (): void => {
      pooled.broken = true;
      all.delete(pooled);
      const at = idle.indexOf(pooled);
      if (at >= 0) idle.splice(at, 1);
    };
    pooled.client.on('error', broken);
    pooled.client.on('end', broken);
    return pooled;
  };

  const place = (o: Cancel): Promise<void> => {
    o.signal.throwIfAborted();
    if (places > 0) {
      places--;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const got = (): void => {
        o.signal.removeEventListener('abort', stop);
        resolve();
      };
      const stop = (): void => {
        waiting.splice(waiting.indexOf(got), 1);
        reject(o.signal.reason);
      };
      waiting.push(got);
      o.signal.addEventListener('abort', stop, { once: true });
    });
  };
  const leave = (): void => {
    const next = waiting.shift();
    if (next) next();
    else places++;
  };

  const usable = (pooled: Pooled): boolean => !pooled.broken && connector.usable?.(pooled.client) !== false;
  const idleOne = (): Pooled | undefined => {
    for (let pooled = idle.pop(); pooled !== undefined; pooled = idle.pop()) {
      if (usable(pooled)) return pooled;
      pooled.client.end().catch(() => {});
    }
    return undefined;
  };

  const take: Database['take'] = async (o) => {
    await place(o);
    try {
      const pooled = idleOne() ?? (await connect(o));
      let given = false;
      return {
        connection: wrap(pooled.client, connector, patience, vault),
        give: (spoilt = false) => {
          if (given) return;
          given = true;
          if (usable(pooled) && !spoilt && idle.length < maxIdle) idle.push(pooled);
          else pooled.client.end().catch(() => {});
          leave();
        },
      };
    } catch (error) {
      leave();
      throw error;
    }
  };

  const lend: Database['lend'] = async (o, use) => {
    const { connection, give } = await take(o);
    try {
      const result = await use(connection);
      give();
      return result;
    } catch (error) {
      give(true);
      throw error;
    }
  };

  /** The connection that has the locks; a new one takes them again. One caller at a time. */
  const withLocks = <T>(o: Cancel, use: (connection: Connection) => Promise<T>): Promise<T> => {
    const turn = lockQueue.then(async () => {
      let holder = await lockHolder?.catch(() => undefined);
      if (!holder || !usable(holder)) {
        holder?.client.end().catch(() => {});
        // a replica has locks of its own, which keep nobody out
        lockHolder = connect({ ...o, writable: true });
        holder = await lockHolder;
        const connection = wrap(holder.client, connector, patience, vault);
        try {
          for (const lock of held) {
            const [row] = await connection.query(`select pg_try_advisory_lock(${lockKey('$1')}) as got`, [lock], o);
            // Another process took it while there was no connection.
            if (row?.['got'] !== true) held.delete(lock);
          }
        } catch (error) {
          // It has some of the locks. It gives them up, and the next caller begins again with all of them.
          lockHolder = undefined;
          const soon = { signal: AbortSignal.timeout(5000) };
          await connection.query('select pg_advisory_unlock_all()', [], soon).catch(() => {});
          await holder.client.end().catch(() => {});
          throw error;
        }
      }
      return use(wrap(holder.client, connector, patience, vault));
    });
    lockQueue = turn.catch(() => {});
    return turn;
  };

  return {
    description: connector.description,
    vault,
    query: (sql, values, o) => lend(o, (connection) => connection.query(sql, values, o)),
    copied: (sql, columns, o) => lend(o, (connection) => connection.copied(sql, columns, o)),
    lend,
    take,
    hold: (lock, o) =>
      withLocks(o, async (connection) => {
        if (held.has(lock)) return true;
        const [row] = await connection.query(`select pg_try_advisory_lock(${lockKey('$1')}) as got`, [lock], o);
        if (row?.['got'] === true) held.add(lock);
        return row?.['got'] === true;
      }),
    letGo: (lock, o) =>
      withLocks(o, async (connection) => {
        if (held.delete(lock)) await connection.query(`select pg_advisory_unlock(${lockKey('$1')})`, [lock], o);
      }),
    [Symbol.asyncDispose]: async () => {
      const last = idle[0];
      if (last) await connector.leave?.(last.client).catch(() => {});
      await Promise.allSettled([...all].map((pooled) => pooled.client.end()));
    },
  };
};
