import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Journal, OutcomeStatus, Settled, StepRecord, StepState } from '../../model/journal.ts';
import type { PlanItem, SeqRange } from '../../model/plans.ts';
import type { Batch, Row } from '../../model/row.ts';
import { fromMultirange, mergeRanges, rangesOf, toMultirange } from '../ranges.ts';
import { type Attempts, takenOver } from './claims.ts';
import type { Connection, Database, Rows } from './database.ts';
import { addOutcomes, outcomesOf } from './outcomes.ts';
import { planItems } from './plan-chunks.ts';
import { fromJson, toTime } from './values.ts';

type Noted = StepRecord & { readonly noted: boolean };

export const stepColumns = `s.run, s.step, s.plan, s.state, s.items::text as items, s.counts,
  case when s.state = 'done' then s.items else coalesce(s.final, '{}') end::text as final`;
const notedColumn = `exists (select from lockstep_control.outcome_chunk c where c.run = s.run and c.step = s.step) as noted`;

export const toStep = (row: Rows[number]): StepRecord => ({
  run: row['run'] as string,
  step: Number(row['step']),
  plan: row['plan'] as string,
  state: row['state'] as StepState,
  items: fromMultirange(row['items'] as string),
  final: fromMultirange(row['final'] as string),
  counts: fromJson<Readonly<Record<string, number>>>(row['counts']),
});

/** SQL: a row where the run `$1` is still carried out by this attempt (null: by whoever); nobody takes it over meanwhile. */
const mine = (attempt: string): string =>
  `select from lockstep_control.run where id = $1 and (${attempt}::int is null or attempt = ${attempt}) for share`;

const refuseTakenOver = async (
  connection: Pick<Connection, 'query'>,
  run: string,
  attempt: number | null,
  o: Cancel,
): Promise<void> => {
  if (attempt === null) return;
  const rows = await connection.query(mine('$2'), [run, attempt], o);
  if (rows.length === 0) throw takenOver(run);
};

const settleStep = async (
  connection: Connection,
  run: string,
  attempt: number | null,
  step: number,
  end: Parameters<Journal['settle']>[2],
  o: Cancel,
): Promise<void> => {
  const outcomes = end.outcomes ?? [];
  const final = end.state === 'done' ? null : toMultirange(rangesOf(outcomes.map(({ seq }) => seq)));
  const settled = await connection.query(
    `update lockstep_control.step set state = $3, settled_at = $4, counts = $5, final = $6
     where run = $1 and step = $2 and state = 'intended' and exists (${mine('$7')}) returning step`,
    [run, step, end.state, toTime(end.at), JSON.stringify(end.counts ?? {}), final, attempt],
    { ...o, name: 'settle' },
  );
  if (settled.length > 0) return;
  await refuseTakenOver(connection, run, attempt, o);
  const [row] = await connection.query(
    'select state from lockstep_control.step where run = $1 and step = $2',
    [run, step],
    o,
  );
  if (row?.['state'] === end.state) throw alreadySettled;
  throw new LockstepError(
    'INTERNAL',
    `step ${step} of run ${run} is ${row ? String(row['state']) : 'not journaled'}: it cannot be settled as ${end.state}`,
  );
};
const alreadySettled = Symbol('already settled');

/** Steps of a run, in pages. */
async function* stepPages(
  database: Database,
  run: string,
  order: 'up' | 'down',
  o: Cancel & { readonly from?: number },
): AsyncGenerator<readonly Noted[]> {
  const page = 200;
  let from = o.from ?? (order === 'up' ? 0 : Number.MAX_SAFE_INTEGER);
  for (;;) {
    const rows = await database.query(
      `select ${stepColumns}, ${notedColumn} from lockstep_control.step s
       where s.run = $1 and s.step ${order === 'up' ? '>' : '<'} $2 order by s.step ${order === 'up' ? '' : 'desc'} limit ${page}`,
      [run, from],
      o,
    );
    if (rows.length > 0) yield rows.map((row): Noted => ({ ...toStep(row), noted: row['noted'] as boolean }));
    if (rows.length < page) return;
    from = Number(rows.at(-1)!['step']);
  }
}

const spanOf = (items: Batch<PlanItem>): SeqRange => {
  const a = items[0]!.seq;
  const b = items.at(-1)!.seq;
  return a < b ? [a, b] : [b, a];
};

/** What of the ranges comes after `seq`. */
const behind = (ranges: readonly SeqRange[], seq: number): readonly SeqRange[] =>
  ranges.flatMap(([first, last]): SeqRange[] => (last <= seq ? [] : [[Math.max(first, seq + 1), last]]));

/** Final items of a step with what became of them. */
async function* settledItems(
  database: Database,
  step: Noted,
  backwards: boolean,
  o: Cancel & { readonly only?: readonly SeqRange[] },
): AsyncGenerator<readonly Settled[]> {
  if (step.state === 'intended') return;
  for await (const items of planItems(database, step.plan, {
    signal: o.signal,
    only: o.only ?? step.final,
    backwards,
  })) {
    const told = step.noted ? await outcomesOf(database, step.run, step.step, spanOf(items), o) : undefined;
    yield items.map((item) => ({
      step: step.step,
      item,
      outcome: told?.get(item.seq) ?? { seq: item.seq, status: 'applied' },
    }));
  }
}

/** Items of a step that were told something else than `applied`: found without reading the others. */
const toldOf = async (
  database: Database,
  step: Noted,
  statuses: readonly OutcomeStatus[],
  o: Cancel,
): Promise<readonly SeqRange[]> => {
  const told = await outcomesOf(database, step.run, step.step, [0, Number.MAX_SAFE_INTEGER], o);
  return rangesOf([...told.values()].filter((outcome) => statuses.includes(outcome.status)).map(({ seq }) => seq));
};

export const journalOf = (database: Database, attempts: Attempts = new Map()): Journal => {
  const attemptOf = (run: string): number | null => attempts.get(run) ?? null;
  const told: Attempts = new Map();
  /** The run makes headway, whatever it has cost: told once by each attempt. */
  const headway = async (run: string, o: Cancel): Promise<void> => {
    const attempt = attempts.get(run);
    if (attempt === undefined || told.get(run) === attempt) return;
    for (const other of told.keys()) if (!attempts.has(other)) told.delete(other);
    told.set(run, attempt);
    await database.query(
      'update lockstep_control.run set deaths = 0 where id = $1 and attempt = $2 and deaths > 0',
      [run, attempt],
      o,
    );
  };
  const inTransaction = async (o: Cancel, write: (connection: Connection) => Promise<void>): Promise<void> => {
    const { connection, give } = await database.take(o);
    try {
      await connection.query('begin', [], o);
      await write(connection);
      await connection.query('commit', [], o);
      give();
    } catch (error) {
      give(true);
      if (error !== alreadySettled) throw error;
    }
  };
  return {
    intend: async (step, at, o) => {
      const [row] = await database.query(
        `with mine as materialized (${mine('$6')}),
         again as (
           delete from lockstep_control.outcome_chunk c using lockstep_control.step s, mine
           where s.run = $1 and s.step = $2 and s.state = 'intended' and c.run = $1 and c.step = $2)
         insert into lockstep_control.step (run, step, plan, items, intended_at)
         select $1, $2::bigint, $3, $4::int8multirange, $5::timestamptz from mine
         on conflict (run, step) do update set plan = excluded.plan, items = excluded.items, intended_at = excluded.intended_at
           where step.state = 'intended'
         returning step`,
        [step.run, step.step, step.plan, toMultirange(step.items), toTime(at), attemptOf(step.run)],
        { ...o, name: 'intend' },
      );
      if (row) return;
      await refuseTakenOver(database, step.run, attemptOf(step.run), o);
      throw new LockstepError('INTERNAL', `step ${step.step} of run ${step.run} has already been settled`);
    },
    note: async (run, step, outcomes, o) => {
      if (outcomes.length === 0) return;
      await inTransaction(o, async (connection) => {
        await refuseTakenOver(connection, run, attemptOf(run), o);
        await addOutcomes(connection, run, step, outcomes, o);
      });
    },
    settle: async (run, step, end, o) => {
      if (end.state === 'done' && !end.outcomes?.length) {
        await database
          .lend(o, (connection) => settleStep(connection, run, attemptOf(run), step, end, o))
          .catch((error: unknown) => {
            if (error !== alreadySettled) throw error;
          });
        return headway(run, o);
      }
      await inTransaction(o, async (connection) => {
        await settleStep(connection, run, attemptOf(run), step, end, o);
        if (end.state === 'rolled_back') {
          await connection.query(
            'delete from lockstep_control.outcome_chunk where run = $1 and step = $2',
            [run, step],
            o,
          );
        }
        await addOutcomes(connection, run, step, end.outcomes ?? [], o);
      });
      if (end.state === 'done') await headway(run, o);
    },
    open: async (run, o) => {
      const rows = await database.query(
        `select ${stepColumns} from lockstep_control.step s where s.run = $1 and s.state = 'intended' order by s.step`,
        [run],
        o,
      );
      return rows.map(toStep);
    },
    steps: async function* (run, o) {
      for await (const steps of stepPages(database, run, 'up', o)) yield steps.map(({ noted: _, ...step }) => step);
    },
    last: async (run, o) => {
      const [row] = await database.query(
        'select max(step) as last from lockstep_control.step where run = $1',
        [run],
        o,
      );
      return Number(row?.['last'] ?? 0);
    },
    final: async (run, o) => {
      const [row] = await database.query(
        `select range_agg(case when state = 'done' then items else final end)::text as final
         from lockstep_control.step where run = $1 and state <> 'intended'`,
        [run],
        o,
      );
      return mergeRanges(fromMultirange((row?.['final'] as string | null) ?? '{}'));
    },
    tally: async (run, o) => {
      const rows = await database.query(
        'select counts, count(*) as times from lockstep_control.step where run = $1 group by counts',
        [run],
        o,
      );
      const sum: Record<string, number> = {};
      for (const row of rows) {
        for (const [name, count] of Object.entries(fromJson<Record<string, number>>(row['counts']))) {
          sum[name] = (sum[name] ?? 0) + count * Number(row['times']);
        }
      }
      return sum;
    },
    outcomes: async function* (run, o) {
      const { signal, statuses, after } = o;
      const pages = stepPages(database, run, 'up', { signal, ...(after ? { from: after.step - 1 } : {}) });
      for await (const steps of pages) {
        for (const step of steps) {
          const few = statuses && !statuses.includes('applied');
          if (few && !step.noted) continue;
          const all = few ? await toldOf(database, step, statuses, o) : step.final;
          const only = step.step === after?.step ? behind(all, after.seq) : all;
          for await (const settled of settledItems(database, step, false, { signal, only })) {
            const wanted = statuses ? settled.filter(({ outcome }) => statuses.includes(outcome.status)) : settled;
            if (wanted.length > 0) yield wanted;
          }
        }
      }
    },
    undo: async function* (run, o) {
      for await (const steps of stepPages(database, run, 'down', o)) {
        for (const step of steps) {
          if (step.state !== 'done') continue;
          for await (const settled of settledItems(database, step, true, o)) {
            const written = settled
              .filter(({ outcome }) => outcome.status === 'applied')
              .map(({ item, outcome }): { item: PlanItem; stored: Row | null } => ({
                item,
                stored: outcome.stored === undefined ? item.change.after : outcome.stored,
              }));
            if (written.length > 0) yield written;
          }
        }
      }
    },
  };
};
