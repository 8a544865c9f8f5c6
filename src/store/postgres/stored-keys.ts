import { LockstepError } from '../../model/errors.ts';
import type { StoredKeyState, StoredKeysPort } from '../../model/stored-keys.ts';
import { masksOf, newDataKey, type StoredKeys, wrapKey } from '../stored-values.ts';
import type { Database, Rows } from './database.ts';
import { inTransaction } from './transaction.ts';
import { fromTime } from './values.ts';
import { keyMissing, ringOf, selectKeys } from './vault.ts';

const statesOf = (rows: Rows, { current, previous }: StoredKeys): readonly StoredKeyState[] => {
  const known = new Set([...previous, ...(current ? [current] : [])].map(({ id }) => id));
  return rows.map((row) => ({
    id: row['id'] as string,
    made: fromTime(row['made'])!,
    wrappedBy: row['wrapped_by'] as string,
    known: known.has(row['wrapped_by'] as string),
    current: row['current'] as boolean,
  }));
};

export const storedKeysOf = (database: Database, keys: () => StoredKeys): StoredKeysPort => ({
  list: async (o) => statesOf(await database.query(selectKeys, [], o), keys()),
  masks: async () => masksOf(await database.vault.firstKey()),
  rekey: (o) =>
    inTransaction(database, o, async (connection) => {
      const configured = keys();
      const by = configured.current;
      if (by === undefined)
        throw new LockstepError('STORED_KEY', 'no key for stored values is configured', {
          hint: 'Set stored: { key: "${env:…}" } in the configuration, or LOCKSTEP_STORED_KEY.',
        });
      await connection.query('lock table lockstep_control.stored_key in share row exclusive mode', [], o);
      const ring = ringOf(await connection.query(selectKeys, [], o), configured);
      for (const wrappedBy of ring.closed.values()) throw keyMissing(wrappedBy);
      for (const key of ring.keys.values())
        await connection.query(
          'update lockstep_control.stored_key set wrapped_by = $2, wrapped = $3, current = false where id = $1',
          [key.id, by.id, wrapKey(by, key)],
          o,
        );
      const made = newDataKey();
      await connection.query(
        'insert into lockstep_control.stored_key (id, wrapped_by, wrapped, current) values ($1, $2, $3, true)',
        [made.id, by.id, wrapKey(by, made)],
        o,
      );
      return statesOf(await connection.query(selectKeys, [], o), configured);
    }),
});
