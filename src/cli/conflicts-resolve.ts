import { count } from '../lib/grouped.ts';
import type { Conflict, Resolution } from '../model/conflicts.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import type { Pair } from '../model/pair.ts';
import type { Cell } from '../model/row.ts';
import type { Store } from '../model/store.ts';
import { type ConnectedSides, connectBoth } from '../service/connect.ts';
import { guardsWith, type Job, scopeOf } from '../service/job.ts';
import { twoWayRulesOf } from '../service/two-way.ts';
import { alignAll } from '../work/compare.ts';
import { mayWrite } from '../work/two-way/context.ts';
import { guardDecisions } from '../work/two-way/guard-decisions.ts';
import {
  type Chooser,
  cellsByHand,
  chosenRow,
  findConflict,
  pendingOf,
  resolveConflict,
  resolveConflicts,
} from '../work/two-way/resolve.ts';
import { configOf } from './config-of.ts';
import { confirm } from './confirm.ts';
import { conflictFilter, idPattern, namesOf } from './conflict-filter.ts';
import { type Context, type Flags, tell } from './context.ts';
import { askedBy } from './control.ts';
import { exitCodes } from './exit.ts';
import { jobOf } from './job.ts';
import { overridesOf } from './job-flags.ts';
import { conflictCells, keyText } from './output/conflict-view.ts';
import { bulkReview, type Resolved, resolvedJson, resolvedTable } from './output/resolved-view.ts';
import { progressView } from './progress.ts';
import { formatOf } from './read-flags.ts';
import { byFlag } from './revert-limits.ts';
import { announceStop } from './stopping.ts';
import { syncDecided } from './two-way.ts';

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

const example = 'Write: lockstep conflicts resolve ID --take source|target|base --why "…"';

/** `lockstep conflicts resolve ID`, or many by a filter: a decision, and, unless it is for later, its writes. */
export const resolve = async (
  context: Context,
  flags: Flags,
  store: Store,
  [what, key]: readonly [string | undefined, readonly string[]],
): Promise<number> => {
  const format = formatOf(flags, ['table', 'json'] as const, 'conflicts resolve');
  if (flags.later === true && flags.now === true) throw usage('--now and --later exclude each other', 'Give one.');
  const choice = choiceOf(flags);
  const byHand = 'cells' in choice && Object.keys(choice.cells).length > 0;
  const signal = context.now;
  const one = (await isId(context, flags, what)) ? await findConflict(store, what!, { signal }) : undefined;
  if (one === undefined && byHand)
    throw usage('values by hand are for one conflict', 'Name its id: lockstep conflicts list.');
  const narrowed = (['pair', 'column', 'kind', 'state', 'sync'] as const).find((flag) => flags[flag] !== undefined);
  if (one !== undefined && narrowed !== undefined)
    throw usage(`--${narrowed} is for many conflicts, and ${one.id} is one`, 'Leave it away.');
  if (one === undefined && flags.replace === true)
    throw usage('--replace is for one conflict', 'Name its id: lockstep conflicts list --state decided.');
  if (flags.state !== undefined) throw usage('--state: only pending conflicts can be resolved', 'Leave it away.');
  const filter =
    one === undefined ? await conflictFilter(store, flags, [what, key], ['pending'], signal) : { sync: one.sync };
  const { sync } = filter;
  if (sync === undefined) throw usage('lockstep conflicts resolve: which conflicts?', `${example}; or name a sync.`);
  const by: Chooser = { ...askedBy(context), why: flags.why ?? null };
  const { writes, guards } = await syncOf(context, flags, sync);
  const work = { store, clock: context.clock, signal, writes, replace: flags.replace === true };

  await using open = await openSides(context, flags, sync, { now: flags.later !== true, byHand });
  const { job } = open;
  const decided: Conflict[] = [];
  if (one !== undefined) {
    const made = byHand ? await withCells(open, one, choice as Resolution & { cells: object }, signal) : choice;
    const row = chosenRow(one, made);
    if (!flags.yes) {
      await context.err.write(`  ${one.id}   ${one.sync}/${one.pair} ${keyText(one)}   ${one.type}\n`);
      await conflictCells(context.err, one, await namesOf(store, one.run, signal), row);
    }
    if (!(await confirm(context, flags, questionOf(row, job)))) return await declined(context);
    decided.push(await resolveConflict(work, one, made, by));
  } else {
    const meant = await pendingOf(store, filter, choice, { signal, writes });
    if (!flags.yes) await bulkReview(context.err, meant, choice);
    if (meant.conflicts.length === 0) {
      await resolvedOut(context, format, {
        decided,
        run: null,
        written: 0,
        again: [],
        left: 0,
        gone: 0,
        impossible: meant.impossible.length,
      });
      return meant.impossible.length > 0 ? exitCodes.conflicts : exitCodes.ok;
    }
    guardDecisions(meant.conflicts, choice, guards, byFlag);
    const question = `Resolve ${count(meant.conflicts.length, 'conflict')} of ${sync} by taking ${takenText(choice)}${job === undefined ? '' : ', and write it'}?`;
    if (!(await confirm(context, flags, question))) return await declined(context);
    const told = shownFilter(filter as Readonly<Record<string, JsonValue>>);
    decided.push(...(await resolveConflicts(work, sync, meant.conflicts, choice, { ...by, filter: told })));
  }
  if (job === undefined || open.sides === undefined || decided.length === 0) {
    await resolvedOut(context, format, {
      decided,
      run: null,
      written: 0,
      again: [],
      left: decided.length,
      gone: 0,
      impossible: 0,
    });
    return exitCodes.ok;
  }
  return await write(context, store, { job, sides: open.sides, format }, decided);
};

const questionOf = (row: readonly Cell[] | null, job: Job | undefined): string =>
  `${row === null ? 'No row on either side' : 'This row on both sides'}${job === undefined ? ', with the next run' : ''}?`;

const takenText = (choice: Resolution): string =>
  choice.take === 'base' ? 'what was agreed last' : `the ${choice.take}’s row`;

const shownFilter = ({ states: _, ...filter }: Readonly<Record<string, JsonValue>>) => filter;

const declined = async (context: Context): Promise<number> => {
  await tell(context, 'Nothing was decided.');
  return exitCodes.usage;
};

const resolvedOut = (context: Context, format: 'table' | 'json', r: Resolved): Promise<void> =>
  format === 'json' ? resolvedJson(context.out, r) : resolvedTable(context.out, r);

/** An id, or what nobody but who means one writes. */
const isId = async (context: Context, flags: Flags, what: string | undefined): Promise<boolean> => {
  if (what === undefined || !/^c_[^/]*$/.test(what)) return false;
  return idPattern.test(what) || (await configOf(context, flags))?.syncs[what] === undefined;
};

/** Which sides the sync writes to, and its guards, as it is configured now and flags say. */
const syncOf = async (context: Context, flags: Flags, name: string) => {
  const sync = (await configOf(context, flags))?.syncs[name];
  if (sync === undefined)
    throw new LockstepError('NOT_FOUND', `sync ${name} is not configured here`, {
      hint: 'Run it where the config file is, or name that with --config.',
    });
  const rules = twoWayRulesOf(sync, sync.mode);
  if (rules !== undefined) return { writes: mayWrite(rules), guards: guardsWith(sync.guards, overridesOf(flags, [])) };
  throw usage(
    `sync ${name} keeps no archive now, so nothing is written for its conflicts`,
    'Set mode: two_way, or say how its conflicts are settled.',
  );
};

const choiceOf = (flags: Flags): Resolution => {
  const given: Record<string, string | null> = {};
  for (const text of flags.set ?? []) {
    const at = text.indexOf('=');
    if (at < 1) throw usage(`--set ${text}: expected column=value`, 'NULL: --set-null COLUMN.');
    given[text.slice(0, at).trim()] = text.slice(at + 1);
  }
  for (const name of flags.setNull ?? []) given[name] = null;
  const cells = Object.keys(given).length > 0;
  const { take } = flags;
  if (take === undefined) {
    throw cells
      ? usage('values by hand replace cells of a row: of whose?', 'Say it beside them: --take source or --take target.')
      : usage('whose row counts?', `${example}.`);
  }
  if (take !== 'source' && take !== 'target') {
    if (cells) throw usage('values by hand go with --take source or --take target', 'They replace cells of that row.');
    return { take: 'base' };
  }
  return cells ? { take, cells: given } : { take };
};

/** Both sides of a sync, where they are needed. */
interface Open extends AsyncDisposable {
  /** Undefined: nothing is written now. */
  readonly job: Job | undefined;
  readonly sides: ConnectedSides | undefined;
  pairs(signal: AbortSignal): Promise<{ readonly pairs: readonly Pair[]; readonly job: Job }>;
}

const openSides = async (
  context: Context,
  flags: Flags,
  sync: string,
  o: { readonly now: boolean; readonly byHand: boolean },
): Promise<Open> => {
  const nothing = { job: undefined, sides: undefined, [Symbol.asyncDispose]: async () => {} };
  if (!o.now && !o.byHand) return { ...nothing, pairs: () => Promise.reject(new Error('not open')) };
  const job = await jobOf(context, [sync], flags, o.now);
  const sides = await connectBoth(context, job, context.now);
  return {
    job: o.now ? job : undefined,
    sides,
    pairs: async (signal) => {
      const { pairs } = await alignAll({ source: sides.source, target: sides.target, ...scopeOf(job), signal });
      return { pairs, job };
    },
    [Symbol.asyncDispose]: () => sides[Symbol.asyncDispose](),
  };
};

/** Values by hand, read and checked against both sides as they are now. */
const withCells = async (
  open: Open,
  conflict: Conflict,
  choice: Resolution & { readonly cells?: object },
  signal: AbortSignal,
): Promise<Resolution> => {
  const { pairs, job } = await open.pairs(signal);
  const pair = pairs.find((p) => p.name === conflict.pair);
  if (pair === undefined) {
    throw new LockstepError('TABLE_NOT_FOUND', `${conflict.sync} has no pair ${conflict.pair} any more`, {
      hint: `Pairs: ${pairs.map((p) => p.name).join(', ')}.`,
    });
  }
  const given = choice.cells as Readonly<Record<string, string | null>>;
  return { take: choice.take as 'source' | 'target', cells: cellsByHand(pair, mayWrite(job.twoWay!), given) };
};

/** Writes what was decided, at once. */
const write = async (
  context: Context,
  store: Store,
  o: { readonly job: Job; readonly sides: ConnectedSides; readonly format: 'table' | 'json' },
  decided: readonly Conflict[],
): Promise<number> => {
  using progress = progressView(context);
  using _stopping = announceStop(context, progress);
  const stands = `${count(decided.length, 'decision')} stand${decided.length === 1 ? 's' : ''}, and the next run of ${o.job.sync} writes it`;
  const done = await syncDecided(context, o.job, { store, sides: o.sides, progress }).catch((error: unknown) => {
    if (!(error instanceof LockstepError)) throw error;
    throw new LockstepError(error.code, error.message, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.side === undefined ? {} : { side: error.side }),
      details: [...error.details, stands],
      cause: error,
    });
  });
  progress[Symbol.dispose]();
  const ends = { written: 0, again: [] as Conflict[], left: 0, gone: 0 };
  for (const { id } of decided) {
    const now = await store.conflicts.get(id, { signal: context.now });
    if (now?.state === 'decided') ends.left++;
    else if (now?.state === 'pending') ends.again.push(now);
    else if (now === undefined || now.state === 'gone') ends.gone++;
    else ends.written++;
  }
  await resolvedOut(context, o.format, { decided, run: done.run, ...ends, impossible: 0 });
  if (done.interrupted !== undefined) return done.exit;
  return ends.again.length > 0 ? exitCodes.conflicts : ends.left > 0 ? exitCodes.differs : exitCodes.ok;
};
