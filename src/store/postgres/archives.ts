import type { Clock } from '../../lib/clock.ts';
import { newId, randomSeed } from '../../lib/ids.ts';
import type { Archive, ArchiveFacts, Archives } from '../../model/archive.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { HashSpec } from '../../model/hash/spec.ts';
import { keyOfBytes } from '../../model/key-bytes.ts';
import type { Key } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';
import { archiveDigest } from './archive-digest.ts';
import { type ArchiveTable, archiveHashes } from './archive-hashes.ts';
import { baseOf, byIndex, cellsPlace, keepAgreed } from './archive-keep.ts';
import { archiveKeys } from './archive-keys.ts';
import type { Connection, Database, Rows } from './database.ts';
import { inTransaction } from './transaction.ts';
import { fromTime, plainText, toTime } from './values.ts';

const factsOf = (row: Rows[number]): ArchiveFacts => ({
  id: row['id'] as string,
  sync: row['sync'] as string,
  pair: row['pair'] as string,
  settings: row['settings'] as string,
  hash: { seed: BigInt(row['seed'] as string), form: row['form'] as HashSpec['form'] },
  integerKey: row['integer_key'] as boolean,
  completed: fromTime(row['completed']),
});

const tableOf = (n: number): string => `lockstep_control.archive_row_${n}`;

const forgotten = (facts: ArchiveFacts): LockstepError =>
  new LockstepError('FENCED', `what both sides of ${facts.pair} had agreed on was forgotten meanwhile`, {
    hint: 'Run it again: it compares as if it were the first time.',
  });

/** Forgets archives: rows and all. */
const drop = async (connection: Connection, rows: Rows, o: Cancel): Promise<void> => {
  for (const row of rows) {
    await connection.query(`drop table if exists ${tableOf(row['n'] as number)}`, [], o);
    await connection.query('delete from lockstep_control.archive where n = $1', [row['n']], o);
  }
};

/** Of these keys, those that an archive has; as JSON. */
const knownKeys = async (
  connection: Pick<Connection, 'query'>,
  table: ArchiveTable,
  keys: readonly Key[],
  o: Cancel,
): Promise<readonly string[]> => {
  const { integers, bytes } = archiveKeys(table, keys);
  const rows = await connection.query(
    `select k, key from ${table.name} where k = any ($1::bigint[])
     union all select k, key from ${table.name}
       where k is null and substring(key, 1, 1000) = any ($2::bytea[]) and key = any ($3::bytea[])`,
    [integers, bytes.map((b) => b.subarray(0, 1000)), bytes],
    o,
  );
  return rows.map(({ k, key }) => JSON.stringify(k === null ? keyOfBytes(table.keyTypes, key as Buffer) : [k]));
};

const archiveOf = (database: Database, n: number, facts: ArchiveFacts, keyTypes: readonly ColumnType[]): Archive => {
  const table: ArchiveTable = { name: tableOf(n), keyTypes, integerKey: facts.integerKey };

  /** In a transaction that nobody else writes to the archive beside. */
  const changing = (o: Cancel, use: (connection: Connection) => Promise<void>): Promise<void> =>
    inTransaction(database, o, async (connection) => {
      const there = await connection.query('select n from lockstep_control.archive where n = $1 for update', [n], o);
      if (there.length === 0) throw forgotten(facts);
      await use(connection);
    });

  return {
    facts,
    rows: async (o) => {
      const [row] = await database.query(`select count(*) as n from ${table.name}`, [], o);
      return Number(row!['n']);
    },
    digest: (partition, o) => archiveDigest(database, table, partition, o),
    hashes: (of, o) => archiveHashes(database, table, of, o),
    find: (keys, o) =>
      inTransaction(database, o, async (connection) => {
        const { integers, bytes } = archiveKeys(table, keys);
        const columns = `k, key, cells, target_cells, run, at from ${table.name} t join lockstep_control.archive_stamp s on s.n = t.stamp`;
        const placed = { ...o, place: (row: Rows[number], column: string) => cellsPlace(table, row, column) };
        const rows: Rows[number][] = [];
        await byIndex(connection, o);
        if (integers.length > 0)
          rows.push(...(await connection.query(`select ${columns} where k = any ($1::bigint[])`, [integers], placed)));
        if (bytes.length > 0)
          rows.push(
            ...(await connection.query(
              `select ${columns} where k is null and substring(key, 1, 1000) = any ($1::bytea[]) and key = any ($2::bytea[])`,
              [bytes.map((b) => b.subarray(0, 1000)), bytes],
              placed,
            )),
          );
        return rows.map((row) => baseOf(table, row));
      }),
    earlier: (keys, o) =>
      inTransaction(database, o, async (connection) => {
        const others = await connection.query(
          `select b.n, b.integer_key from lockstep_control.archive a
             join lockstep_control.archive b on b.sync = a.sync and b.pair = a.pair and b.place = a.place and b.n <> a.n
           where a.n = $1 for share of b`,
          [n],
          o,
        );
        await byIndex(connection, o);
        const found = new Set<string>();
        for (const other of others) {
          const of = { name: tableOf(other['n'] as number), keyTypes, integerKey: other['integer_key'] as boolean };
          for (const key of await knownKeys(connection, of, keys, o)) found.add(key);
        }
        return found;
      }),
    keep: (agreed, o) =>
      agreed.length === 0
        ? Promise.resolve()
        : changing(o, (connection) => keepAgreed(connection, n, table, agreed, o)),
    complete: async (at, o) => {
      await changing(o, async (connection) => {
        await connection.query('update lockstep_control.archive set completed = $2 where n = $1', [n, toTime(at)], o);
        const others = await connection.query(
          'select n from lockstep_control.archive where sync = $1 and pair = $2 and n <> $3 for update',
          [plainText(facts.sync), plainText(facts.pair), n],
          o,
        );
        await drop(connection, others, o);
      });
      // The rows were all written just now: what is read next need not look each one up. It is well without it, too.
      await database.query(`vacuum (analyze) ${table.name}`, [], o).catch(() => o.signal.throwIfAborted());
    },
  };
};

/** Archives in the control store: each has a table of its own. */
export const archivesOf = (database: Database, clock: Pick<Clock, 'now'>): Archives => ({
  open: async ({ keyTypes, ...of }, o) => {
    const at = [plainText(of.sync), plainText(of.pair), of.settings];
    const known = async (connection: Pick<Connection, 'query'>): Promise<Rows> =>
      connection.query('select * from lockstep_control.archive where sync = $1 and pair = $2 and settings = $3', at, o);
    let [row] = await known(database);
    if (row !== undefined && row['place'] === null && of.place !== undefined)
      await database.query('update lockstep_control.archive set place = $2 where n = $1', [row['n'], of.place], o);
    row ??= await inTransaction(database, o, async (connection) => {
      const made = await connection.query(
        `insert into lockstep_control.archive (id, sync, pair, settings, seed, form, integer_key, place)
         values ($4, $1, $2, $3, $5, $6, $7, $8) on conflict (sync, pair, settings) do nothing returning *`,
        [...at, newId('a', clock.now()), String(randomSeed()), of.form, of.integerKey, of.place ?? null],
        o,
      );
      if (made.length === 0) return (await known(connection))[0]!;
      await connection.query(
        `create table ${tableOf(made[0]!['n'] as number)} (like lockstep_control.archive_row including all)
         with (fillfactor = 90)`,
        [],
        o,
      );
      return made[0]!;
    });
    return archiveOf(database, row['n'] as number, factsOf(row), keyTypes);
  },
  list: async ({ sync, pair }, o) => {
    const rows = await database.query(
      `select * from lockstep_control.archive where sync = $1 and ($2::text is null or pair = $2) order by pair, n`,
      [plainText(sync), pair === undefined ? null : plainText(pair)],
      o,
    );
    return rows.map(factsOf);
  },
  outdate: async (o) => {
    const rows = await database.query(
      `update lockstep_control.archive set settings = 'outdated ' || n || ' ' || settings returning sync, pair`,
      [],
      o,
    );
    return new Set(rows.map((row) => JSON.stringify([row['sync'], row['pair']]))).size;
  },
  forget: ({ sync, pair }, o) =>
    inTransaction(database, o, async (connection) => {
      const rows = await connection.query(
        `select n from lockstep_control.archive where sync = $1 and ($2::text is null or pair = $2) order by n for update`,
        [plainText(sync), pair === undefined ? null : plainText(pair)],
        o,
      );
      let count = 0;
      for (const row of rows) {
        const [counted] = await connection.query(`select count(*) as n from ${tableOf(row['n'] as number)}`, [], o);
        count += Number(counted!['n']);
      }
      await drop(connection, rows, o);
      return count;
    }),
});
