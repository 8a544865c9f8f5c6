import { count, grouped } from '../../lib/grouped.ts';
import { visibleCell, visibleText } from '../../model/canon/show.ts';
import type { QuarantinedRow } from '../../model/quarantine.ts';
import type { Retried } from '../../work/quarantine.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { jsonText } from './json-text.ts';
import { writeList } from './list.ts';
import { utc } from './text.ts';

export const quarantineJson = (out: Out, rows: readonly QuarantinedRow[], total: number): Promise<void> =>
  out.write(
    `${jsonText({
      schema_version: 1,
      total,
      rows: rows.map((row) => ({
        sync: row.sync,
        pair: row.pair,
        key: Object.fromEntries(row.columns.map((name, i) => [name, row.key[i] ?? null])),
        reasons: row.reasons,
        row: row.row,
        first_run: row.firstRun,
        first_seen: utc(row.firstSeen),
        last_run: row.lastRun,
        last_seen: utc(row.lastSeen),
        attempts: row.attempts,
      })),
      truncated: rows.length < total,
    })}\n`,
  );

export const quarantineTable = async (out: Out, rows: readonly QuarantinedRow[], total: number): Promise<void> => {
  if (total === 0) {
    await out.write('  no row is quarantined\n');
    return;
  }
  await writeList(
    out,
    ['PAIR', 'KEY', 'SINCE', 'SEEN', 'REASON'],
    rows.map((row) => [
      `${visibleText(row.sync)}/${visibleText(row.pair)}`,
      row.key.map(visibleCell).join(' '),
      utc(row.firstSeen),
      `${grouped(row.attempts)}×`,
      inert(row.reasons.join('; ')),
    ]),
    (i) => i === 3,
  );
  if (rows.length < total) await out.write(`\n  ${grouped(total - rows.length)} more: --limit all\n`);
};

export const retriedJson = (out: Out, r: Retried): Promise<void> =>
  out.write(`${jsonText({ schema_version: 1, still_invalid: r.stillInvalid, valid: r.valid, gone: r.gone })}\n`);

export const retriedTable = async (out: Out, r: Retried, sync: string): Promise<void> => {
  await out.write(
    `  ${count(r.stillInvalid, 'row')} still invalid · ${grouped(r.valid)} valid now · ${grouped(r.gone)} gone\n`,
  );
  if (r.valid > 0) await out.write(`  to write what is valid now: lockstep sync ${sync}\n`);
};
