import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import {
  type DataKey,
  type Kept,
  type Lock,
  lockedOf,
  lockOf,
  newDataKey,
  openLock,
  type StoredKey,
  type StoredKeys,
  unwrapKey,
  wrapKey,
} from '../stored-values.ts';
import type { Connector } from './connector.ts';

type Row = Record<string, unknown>;
type Query = (sql: string, values: readonly unknown[]) => Promise<readonly Row[]>;

/** Columns that may hold locked values: no other is looked at. */
const lockable = [
  ...['body', 'images', 'cells', 'target_cells', 'base', 'source', 'target', 'result', 'ruling', 'source_stored'],
  ...['target_stored', 'image', 'reasons', 'reason', 'resolution', 'report', 'checkpoint', 'error', 'answer'],
  ...['before', 'after'],
] as const;
type Column = (typeof lockable)[number];

/** Where a value of a row is: what it was locked with, or may have been by an earlier version. Undefined: not checked. */
export type PlaceOf = (row: Readonly<Row>, column: Column) => string | readonly string[] | undefined;

/** Locks values on their way into the control store, and unlocks them on their way out. */
export interface Vault {
  /** What is sent in place of `Kept` values. STORED_KEY where the store encrypts and no key is configured. */
  lock(values: readonly unknown[], query: Query): Promise<readonly unknown[]>;
  /** Unlocks, in the rows themselves. STORED_KEY, STORED_VALUE. */
  unlock(rows: readonly Row[], place: PlaceOf | undefined): Promise<void>;
  /** What a file is locked with, and the key that it carries for that; undefined where no key is configured. */
  carried(): Promise<{ readonly lock: Lock; readonly key: CarriedKey } | undefined>;
  /** The first data key of the store, which stays the first. STORED_KEY. */
  firstKey(): Promise<DataKey>;
  /** The key that a file carries. STORED_KEY. */
  dataKey(key: CarriedKey): Promise<DataKey>;
}

/** A data key outside the store, as a file carries it. */
export interface CarriedKey {
  readonly id: string;
  readonly wrapped_by: string;
  /** Base64. */
  readonly wrapped: string;
}

export const keyMissing = (wrappedBy: string): LockstepError =>
  new LockstepError(
    'STORED_KEY',
    `values in the control store are encrypted with a key (${wrappedBy}) that is not configured here`,
    {
      hint: 'Set it: stored: { key: "${env:…}" } in the configuration or LOCKSTEP_STORED_KEY. After a change of keys the earlier one belongs in stored: { previous: […] } until `lockstep stored rekey` has run.',
    },
  );

const noKey = (): LockstepError =>
  new LockstepError('STORED_KEY', 'this control store encrypts what it keeps of rows, and no key is configured here', {
    hint: 'Whoever shares a control store shares one key: set LOCKSTEP_STORED_KEY, or stored: { key: "${env:…}" } in the configuration.',
  });

const timeoutMs = 30_000;

interface Ring {
  readonly keys: ReadonlyMap<string, DataKey>;
  /** Those that cannot be opened, by what wraps them. */
  readonly closed: ReadonlyMap<string, string>;
  readonly current: CarriedKey | undefined;
  /** The id of the oldest one. */
  readonly first: string | undefined;
}

const byId = ({ current, previous }: StoredKeys): ReadonlyMap<string, StoredKey> =>
  new Map([...previous, ...(current ? [current] : [])].map((key) => [key.id, key]));

export const ringOf = (rows: readonly Row[], configured: StoredKeys): Ring => {
  const known = byId(configured);
  const keys = new Map<string, DataKey>();
  const closed = new Map<string, string>();
  for (const row of rows) {
    const id = row['id'] as string;
    const by = known.get(row['wrapped_by'] as string);
    if (by === undefined) closed.set(id, row['wrapped_by'] as string);
    else keys.set(id, unwrapKey(by, id, row['wrapped'] as Buffer));
  }
  const now = rows.find((row) => row['current'] === true);
  const current = now && {
    id: now['id'] as string,
    wrapped_by: now['wrapped_by'] as string,
    wrapped: (now['wrapped'] as Buffer).toString('base64'),
  };
  return { keys, closed, current, first: rows[0]?.['id'] as string | undefined };
};

export const selectKeys =
  'select id, made, wrapped_by, wrapped, current from lockstep_control.stored_key order by made, id';

/** `keys` is asked when one is needed first. Keys are read on connections of their own: a rolled back one is no key. */
export const vaultOf = (connector: Connector, keys: () => StoredKeys): Vault => {
  let known: StoredKeys | undefined;
  const keysNow = (): StoredKeys => (known ??= keys());
  let ring: Ring | undefined;
  let locking: Promise<Lock> | undefined;

  const beside = async <T>(
    o: Cancel & { readonly writable?: boolean },
    use: (query: Query) => Promise<T>,
  ): Promise<T> => {
    const client = await connector.connect(o);
    try {
      return await use(async (sql, values) => (await client.query(sql, [...values])).rows as Row[]);
    } finally {
      await client.end().catch(() => {});
    }
  };
  // not by a caller's signal: others wait for the same
  const soon = (): Cancel => ({ signal: AbortSignal.timeout(timeoutMs) });
  const load = async (): Promise<Ring> => {
    ring = ringOf(await beside(soon(), (query) => query(selectKeys, [])), keysNow());
    return ring;
  };
  const make = async (by: StoredKey): Promise<Ring> => {
    const key = newDataKey();
    await beside({ ...soon(), writable: true }, (query) =>
      query(
        `insert into lockstep_control.stored_key (id, wrapped_by, wrapped, current) values ($1, $2, $3, true)
         on conflict (current) where current do nothing`,
        [key.id, by.id, wrapKey(by, key)],
      ),
    );
    return load();
  };
  const currentKey = async (by: StoredKey): Promise<{ readonly lock: Lock; readonly key: CarriedKey }> => {
    const known = await load();
    const { keys, current } = known.current === undefined ? await make(by) : known;
    const key = keys.get(current!.id);
    if (key === undefined) throw keyMissing(current!.wrapped_by);
    return { lock: lockOf(key), key: current! };
  };
  const lockNow = async (query: Query): Promise<Lock> => {
    const { current } = keysNow();
    if (current !== undefined) return (await currentKey(current)).lock;
    const [row] = await query('select exists (select from lockstep_control.stored_key) as there', []);
    if (row?.['there'] === true) throw noKey();
    return openLock;
  };
  const theLock = async (query: Query): Promise<Lock> => {
    locking ??= lockNow(query);
    const mine = locking;
    try {
      return await mine;
    } catch (error) {
      // the next caller tries again
      if (locking === mine) locking = undefined;
      throw error;
    }
  };

  return {
    carried: async () => {
      const { current } = keysNow();
      return current && currentKey(current);
    },
    firstKey: async () => {
      const { current } = keysNow();
      if (current === undefined) throw noKey();
      await currentKey(current);
      const key = ring!.keys.get(ring!.first!);
      if (key === undefined) throw keyMissing(ring!.closed.get(ring!.first!)!);
      return key;
    },
    dataKey: async ({ id, wrapped_by, wrapped }) => {
      const there = (ring ?? (await load())).keys.get(id);
      if (there !== undefined) return there;
      const by = byId(keysNow()).get(wrapped_by);
      if (by === undefined) throw keyMissing(wrapped_by);
      return unwrapKey(by, id, Buffer.from(wrapped, 'base64'));
    },
    lock: async (values, query) => {
      if (!values.some((value) => typeof value === 'function')) return values;
      const lock = await theLock(query);
      return values.map((value) => (typeof value === 'function' ? (value as Kept)(lock) : value));
    },
    unlock: async (rows, place) => {
      let loaded = false;
      for (const row of rows) {
        for (const column of lockable) {
          const locked = lockedOf(row[column]);
          if (locked === undefined) continue;
          if (!loaded && ring?.keys.has(locked.key) !== true) {
            await load();
            loaded = true;
          }
          const key = ring?.keys.get(locked.key);
          if (key === undefined) throw keyMissing(ring?.closed.get(locked.key) ?? locked.key);
          row[column] = locked.open(key, place?.(row, column));
        }
      }
    },
  };
};
