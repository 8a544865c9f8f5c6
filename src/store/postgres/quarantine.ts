import type { Quarantine, QuarantinedRow, QuarantineFilter } from '../../model/quarantine.ts';
import type { Key } from '../../model/row.ts';
import type { Rejected } from '../../model/transform.ts';
import type { Lock } from '../stored-values.ts';
import type { Database, Rows } from './database.ts';
import { hashOf } from './key-hash.ts';
import { fromJson, fromTime, plainText, toTime } from './values.ts';

/** What a column of a row is encrypted for. */
export const quarantinePlace = (row: Rows[number], column: string): string =>
  `quarantine ${JSON.stringify([row['sync'], row['pair']])} ${(row['hash'] as Buffer).toString('hex')} ${column}`;

/** Rows per statement. */
const atOnce = 500;

/** Of what a filter means, with its values as $1 to $3. */
export const quarantineWhere = `($1::text is null or sync = $1) and ($2::text is null or pair = $2) and ($3::bytea[] is null or hash = any ($3))`;

export const quarantineValues = ({ sync, pair, keys }: QuarantineFilter): readonly unknown[] => [
  sync === undefined ? null : plainText(sync),
  pair === undefined ? null : plainText(pair),
  keys === undefined ? null : keys.map(hashOf),
];

export const toQuarantined = (row: Rows[number]): QuarantinedRow => ({
  sync: row['sync'] as string,
  pair: row['pair'] as string,
  columns: fromJson<readonly string[]>(row['columns']),
  key: fromJson<Key>(row['key']),
  reasons: fromJson<readonly string[]>(row['reasons']),
  row: fromJson<QuarantinedRow['row']>(row['image']),
  firstRun: row['first_run'] as string,
  firstSeen: fromTime(row['first_seen'])!,
  lastRun: row['last_run'] as string,
  lastSeen: fromTime(row['last_seen'])!,
  attempts: row['attempts'] as number,
});

export const quarantineOf = (database: Database): Quarantine => ({
  record: async ({ sync, pair, columns, run, at }, rows, o) => {
    for (let i = 0; i < rows.length; i += atOnce) {
      // One entry per key and statement.
      const some = [...new Map(rows.slice(i, i + atOnce).map((row) => [JSON.stringify(row.key), row])).values()];
      const placed = (row: Rejected): Rows[number] => ({
        sync: plainText(sync),
        pair: plainText(pair),
        hash: hashOf(row.key),
      });
      const kept = (column: string, of: (row: Rejected) => unknown) => (lock: Lock) =>
        some.map((row) => lock.text(JSON.stringify(of(row)), quarantinePlace(placed(row), column)));
      await database.query(
        `insert into lockstep_control.quarantine as q
           (sync, pair, columns, hash, key, reasons, image, first_run, first_seen, last_run, last_seen, attempts)
         select $1, $2, $3, x.hash, x.key, x.reasons, x.image, coalesce($8, ''), $9, coalesce($8, ''), $9, 1
         from unnest($4::bytea[], $5::text[], $6::text[], $7::text[]) as x (hash, key, reasons, image)
         on conflict (sync, pair, hash) do update set
           columns = excluded.columns, reasons = excluded.reasons, image = excluded.image, last_seen = excluded.last_seen,
           last_run = coalesce($8, q.last_run),
           attempts = q.attempts + case when q.last_run is not distinct from $8 then 0 else 1 end`,
        [
          plainText(sync),
          plainText(pair),
          JSON.stringify(columns),
          some.map((row) => hashOf(row.key)),
          some.map((row) => JSON.stringify(row.key)),
          kept('reasons', (row) => row.reasons),
          kept('image', (row) => row.row),
          run ?? null,
          toTime(at),
        ],
        o,
      );
    }
  },
  list: async function* (filter, o) {
    let after: Rows[number] | undefined;
    for (;;) {
      const rows = await database.query(
        `select * from lockstep_control.quarantine
         where ${quarantineWhere} and ($4::text is null or (sync, pair, seq) > ($4, $5, $6))
         order by sync, pair, seq limit ${atOnce}`,
        [...quarantineValues(filter), after?.['sync'] ?? null, after?.['pair'] ?? null, after?.['seq'] ?? null],
        { ...o, place: quarantinePlace },
      );
      if (rows.length > 0) yield rows.map(toQuarantined);
      if (rows.length < atOnce) return;
      after = rows.at(-1);
    }
  },
  count: async (filter, o) => {
    const [row] = await database.query(
      `select count(*) as n from lockstep_control.quarantine where ${quarantineWhere}`,
      quarantineValues(filter),
      o,
    );
    return Number(row!['n']);
  },
  drop: async (filter, o) => {
    const [row] = await database.query(
      `with gone as (delete from lockstep_control.quarantine
         where ${quarantineWhere} and ($4::text is null or last_run <> $4) returning 1)
       select count(*) as n from gone`,
      [...quarantineValues(filter), filter.except ?? null],
      o,
    );
    return Number(row!['n']);
  },
});
