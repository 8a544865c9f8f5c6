import type { AlertRules } from '../config/alerts.ts';
import type { RunFact } from '../model/monitoring.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import { durationText, median, timeText } from './words.ts';

const writing: readonly string[] = ['sync', 'apply'];
const reading: readonly string[] = ['diff', 'verify', 'plan'];

const bySync = (runs: readonly RunFact[]): ReadonlyMap<string, readonly RunFact[]> => {
  const all = new Map<string, RunFact[]>();
  for (const run of runs) if (run.sync !== null) all.set(run.sync, [...(all.get(run.sync) ?? []), run]);
  return all;
};

/** What the run says of its end. Words of a database may quote a row: those stay in the run's record. */
const quotes: readonly (string | null)[] = ['DATABASE', 'INTERNAL'];
const wordsOf = (run: RunFact): string =>
  run.message === null || quotes.includes(run.code) ? 'see the run for what the database said' : run.message;

/** The failures in a row that a list, newest first, begins with. Cancelled runs say nothing. */
const failing = (runs: readonly RunFact[]): readonly RunFact[] => {
  const told = runs.filter((r) => r.state !== 'cancelled');
  const good = told.findIndex((r) => r.state === 'done');
  return good < 0 ? told : told.slice(0, good);
};

/**
 * The last run of a sync failed. What writes is done again only by what writes: a comparison that went well in between
 * does not mend an apply that failed; the other way round it does.
 */
export const syncFailed = ({ runs }: Facts): readonly Finding[] =>
  [...bySync(runs)].flatMap(([sync, all]): Finding[] => {
    const failed = [
      failing(all.filter((r) => writing.includes(r.kind))),
      failing(all.filter((r) => writing.includes(r.kind) || reading.includes(r.kind))),
    ].sort((a, b) => b.length - a.length)[0]!;
    const last = failed[0];
    if (last === undefined) return [];
    const first = failed.at(-1)!;
    const again = failed.length > 1 ? ` ${failed.length} runs in a row have failed.` : '';
    return [
      {
        subject: `syncs/${sync}`,
        sync,
        since: first.finished,
        summary: `${sync}: the last ${last.kind} failed (${last.code ?? `exit ${last.exit}`}).`,
        detail: `Run ${last.run} ended at ${timeText(last.finished)}: ${wordsOf(last)}.${again}`,
        command: `lockstep show ${last.run}`,
        value: failed.length,
      },
    ];
  });

/** Runs that looked at about as many rows: an incremental run says nothing of a full one. */
const alike = (a: RunFact, b: RunFact): boolean =>
  Math.max(a.rows, 1) <= 4 * Math.max(b.rows, 1) && Math.max(b.rows, 1) <= 4 * Math.max(a.rows, 1);

/** How many of the usual spreads above the median is too long. A spread is at least 5 % of the median. */
const limitOf = (durations: readonly number[], rule: NonNullable<AlertRules['slow_run']>): number => {
  const middle = median(durations);
  const deviation = 1.4826 * median(durations.map((d) => Math.abs(d - middle)));
  return Math.max(rule.leastMs, middle + rule.spreads * Math.max(deviation, 0.05 * middle));
};

export const slowRun = (facts: Facts, rule: NonNullable<AlertRules['slow_run']>): readonly Finding[] => {
  const groups = new Map<string, RunFact[]>();
  for (const run of facts.runs)
    if (run.sync !== null && run.state === 'done') {
      const key = JSON.stringify([run.sync, run.kind]);
      groups.set(key, [...(groups.get(key) ?? []), run]);
    }
  const duration = (r: RunFact): number => r.finished - r.started;
  return [...groups.values()].flatMap((all): Finding[] => {
    const [last, ...before] = all;
    const { sync, kind } = last!;
    const tell = (run: string, ms: number, usual: number, since: number, still: boolean): Finding => ({
      subject: `syncs/${sync}/${kind}`,
      sync,
      since,
      summary: `${sync}: ${kind} ${still ? 'has been running for' : 'took'} ${durationText(ms)}; it usually takes ${durationText(usual)}.`,
      detail: `Run ${run} began at ${timeText(since)}.`,
      command: still ? `lockstep runs ${sync}` : `lockstep show ${run}`,
      value: ms / 1000,
    });
    const working = facts.running.find((r) => r.sync === sync && r.kind === kind);
    if (working !== undefined && all.length >= rule.runs) {
      // How much it will look at is not known yet: longer than all of them.
      const durations = all.map(duration);
      const so = facts.now - working.started;
      if (so > Math.max(limitOf(durations, rule), ...durations))
        return [tell(working.run, so, median(durations), working.started, true)];
    }
    const durations = before.filter((r) => alike(r, last!)).map(duration);
    const ms = duration(last!);
    if (durations.length < rule.runs || ms <= limitOf(durations, rule)) return [];
    return [tell(last!.run, ms, median(durations), last!.started, false)];
  });
};

export const conflictSpike = ({ runs }: Facts, rule: NonNullable<AlertRules['conflict_spike']>): readonly Finding[] =>
  [...bySync(runs)].flatMap(([sync, all]): Finding[] => {
    const done = all.filter((r) => r.state === 'done' && writing.includes(r.kind));
    const [last, ...before] = done;
    if (last === undefined) return [];
    const usual = median(before.map((r) => r.conflicts));
    if (last.conflicts <= rule.above || last.conflicts <= rule.times * usual) return [];
    return [
      {
        subject: `syncs/${sync}`,
        sync,
        since: last.finished,
        summary: `${sync}: ${last.conflicts} conflicts in one run; usually there are ${usual}.`,
        detail: `Run ${last.run} ended at ${timeText(last.finished)}.`,
        command: `lockstep show ${last.run}`,
        value: last.conflicts,
      },
    ];
  });

const backupsOf = ({ runs }: Facts): readonly RunFact[] => runs.filter((r) => r.kind === 'backup');

export const backupFailed = (facts: Facts): readonly Finding[] => {
  const failed = failing(backupsOf(facts));
  const last = failed[0];
  if (last === undefined) return [];
  return [
    {
      subject: 'backups',
      sync: null,
      since: failed.at(-1)!.finished,
      summary: `The last backup failed (${last.code ?? `exit ${last.exit}`}).`,
      detail: `Run ${last.run} ended at ${timeText(last.finished)}: ${wordsOf(last)}.`,
      command: `lockstep show ${last.run}`,
      value: failed.length,
    },
  ];
};

export const backupStale = (facts: Facts, rule: NonNullable<AlertRules['backup_stale']>): readonly Finding[] => {
  const all = backupsOf(facts);
  if (all.length === 0) return [];
  const made = all.filter((r) => r.state === 'done');
  // One that was found damaged since is no backup.
  const last = made.find((r) => !facts.damaged?.some((at) => at >= r.started && at <= r.finished));
  const since = last?.finished ?? Math.min(...all.map((r) => r.started));
  const age = facts.now - since;
  if (age <= rule.olderMs) return [];
  const damaged = last !== made[0];
  const none = damaged ? 'Every backup was found damaged.' : 'No backup has ever been made.';
  return [
    {
      subject: 'backups',
      sync: null,
      since: since + rule.olderMs,
      summary:
        last === undefined
          ? none
          : `The last backup${damaged ? ' that is not damaged' : ''} is ${durationText(age)} old.`,
      detail: `${last === undefined ? 'The first attempt was' : `Run ${last.run} ended`} at ${timeText(since)}; at most ${durationText(rule.olderMs)} is allowed.`,
      command: damaged ? 'lockstep backup list' : 'lockstep runs',
      value: age / 1000,
    },
  ];
};
