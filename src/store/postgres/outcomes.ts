import type { Cancel } from '../../model/cancel.ts';
import type { Outcome } from '../../model/journal.ts';
import type { SeqRange } from '../../model/plans.ts';
import type { Batch } from '../../model/row.ts';
import { chunkItems, pack, unpack } from '../chunk.ts';
import { outcomeLine, parseOutcome } from '../lines.ts';
import type { Lock } from '../stored-values.ts';
import type { Connection, Database, Rows } from './database.ts';

/** What a chunk is encrypted for. */
const chunkPlace = (run: string, step: number, row: Rows[number]): string =>
  `outcomes ${run} ${step} ${Number(row['first'])} ${Number(row['last'])}`;

/** Outcomes as rows of outcome_chunk, `chunkItems` in each, in the order given. */
export const addOutcomes = async (
  connection: Connection,
  run: string,
  step: number,
  outcomes: Batch<Outcome>,
  o: Cancel,
): Promise<void> => {
  for (let i = 0; i < outcomes.length; i += chunkItems) {
    const part = outcomes.slice(i, i + chunkItems);
    let first = part[0]!.seq;
    let last = first;
    for (const { seq } of part) {
      if (seq < first) first = seq;
      if (seq > last) last = seq;
    }
    const body = await pack(Buffer.from(part.map((outcome) => `${outcomeLine(outcome)}\n`).join('')));
    await connection.query(
      `insert into lockstep_control.outcome_chunk (run, step, part, first, last, body)
       select $1, $2, coalesce(max(part), 0) + 1, $3, $4, $5 from lockstep_control.outcome_chunk where run = $1 and step = $2`,
      [run, step, first, last, (lock: Lock) => lock.bytes(body, chunkPlace(run, step, { first, last }))],
      { ...o, name: 'outcome_chunk' },
    );
  }
};

/** What was told of a step's items between two numbers; told later wins. */
export const outcomesOf = async (
  database: Database,
  run: string,
  step: number,
  [first, last]: SeqRange,
  o: Cancel,
): Promise<ReadonlyMap<number, Outcome>> => {
  const rows = await database.query(
    `select first, last, body from lockstep_control.outcome_chunk where run = $1 and step = $2 and first <= $4 and last >= $3 order by part`,
    [run, step, first, last],
    { ...o, name: 'outcomes', place: (row) => chunkPlace(run, step, row) },
  );
  const told = new Map<number, Outcome>();
  for (const row of rows) {
    for (const line of await unpack(row['body'] as Buffer)) {
      const outcome = parseOutcome(line);
      if (outcome.seq >= first && outcome.seq <= last) told.set(outcome.seq, outcome);
    }
  }
  return told;
};
