import type { Comparison, Listings, PresentDifference } from '../../model/listings.ts';
import type { QuarantinedRow } from '../../model/quarantine.ts';
import type { Verdict } from '../../model/report.ts';
import type { Database, Rows } from './database.ts';
import { quarantinePlace, quarantineValues, quarantineWhere, toQuarantined } from './quarantine.ts';
import { fromTime, plainText } from './values.ts';

const changes = { only_in_source: 'new', different: 'modified', only_in_target: 'deleted' } as const;
const kinds = { new: 'only_in_source', modified: 'different', deleted: 'only_in_target' } as const;

const toComparison = (row: Rows[number]): Comparison => ({
  run: row['run'] as string,
  no: Number(row['no']),
  at: fromTime(row['compared_at'])!,
  verdict: row['verdict'] as Verdict,
  complete: row['complete'] as boolean,
  counts: {
    new: Number(row['new_rows']),
    modified: Number(row['modified_rows']),
    deleted: Number(row['deleted_rows']),
  },
});

const toPresent = (row: Rows[number]): PresentDifference => ({
  pair: row['pair'] as string,
  target: row['target_table'] as string,
  change: changes[row['kind'] as keyof typeof changes],
  key: row['key'] as PresentDifference['key'],
  cells: row['cells'] as PresentDifference['cells'],
  detectedRun: row['first_run'] as string,
  detectedAt: fromTime(row['first_at'])!,
  digest: (row['digest'] as Buffer).toString('hex'),
});

/** Those that stood after a comparison: they still do, or went later. Each part is read in order by an index of its own. */
const presentPart = (gone: string): string => `(
  select pair, target_table, kind, key, cells, first_run, first_at, digest from lockstep_control.difference_row
  where sync = $1 and first_no <= $2 and ${gone} and ($3::text is null or pair = $3) and ($4::text is null or kind = $4)
    and ($5::text is null or (pair, digest) > ($5, decode($6, 'hex')))
  order by pair, digest limit $7)`;

export const listingsOf = (database: Database): Listings => ({
  comparison: async (sync, o) => {
    const [row] = await database.query(
      `select run, no, compared_at, verdict, complete, new_rows, modified_rows, deleted_rows
       from lockstep_control.comparison where sync = $1 and shown and ($2::bigint is null or no = $2)
       order by no desc limit 1`,
      [plainText(sync), o.no ?? null],
      o,
    );
    return row && toComparison(row);
  },
  present: async (sync, filter, o) => {
    const rows = await database.query(
      `${presentPart('gone_no is null')} union all ${presentPart('gone_no > $2')} order by pair, digest limit $7`,
      [
        plainText(sync),
        filter.no,
        filter.pair === undefined ? null : plainText(filter.pair),
        filter.change === undefined ? null : kinds[filter.change],
        filter.after === undefined ? null : plainText(filter.after.pair),
        filter.after?.digest ?? null,
        filter.limit,
      ],
      o,
    );
    return rows.map(toPresent);
  },
  quarantined: async (filter, o) => {
    const rows = await database.query(
      `select * from lockstep_control.quarantine
       where ${quarantineWhere} and ($4::text[] is null or sync = any ($4))
         and ($5::text is null or (sync, pair, seq) > ($5, $6, $7::bigint))
       order by sync, pair, seq limit $8`,
      [
        ...quarantineValues(filter),
        filter.syncs?.map(plainText) ?? null,
        filter.after === undefined ? null : plainText(filter.after.sync),
        filter.after === undefined ? null : plainText(filter.after.pair),
        filter.after?.seq ?? null,
        filter.limit,
      ],
      { ...o, place: quarantinePlace },
    );
    return rows.map((row): QuarantinedRow & { seq: string } => ({ ...toQuarantined(row), seq: String(row['seq']) }));
  },
});
