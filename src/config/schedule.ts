import { Cron } from 'croner';
import type { WrittenSchedule } from './schedule-schema.ts';

/** When a sync is started by itself. */
export type ScheduleRule = {
  /** Milliseconds: each start is put off by a random time up to this. */
  readonly jitterMs: number;
  readonly missed: 'run_once' | 'skip';
} & ({ readonly everyMs: number } | { readonly cron: string; readonly timezone: string });

const leastMs = 1000;

/** What is written, with its defaults. `wrong` makes the error of a place; `duration` reads one: milliseconds. */
export const scheduleOf = (
  written: WrittenSchedule,
  read: {
    duration(value: string, key: 'every' | 'jitter'): number;
    wrong(key: keyof WrittenSchedule | undefined, what: string, hint: string): Error;
  },
): ScheduleRule => {
  const { cron, every, timezone = 'UTC' } = written;
  const rest = {
    jitterMs: written.jitter === undefined ? 0 : read.duration(written.jitter, 'jitter'),
    missed: written.missed ?? ('run_once' as const),
  };
  if ((cron === undefined) === (every === undefined))
    throw read.wrong(
      undefined,
      'expected either cron or every',
      'Write schedule: { every: 5m }, or { cron: "0 3 * * *" }.',
    );
  if (every !== undefined) {
    if (written.timezone !== undefined)
      throw read.wrong('timezone', 'a time zone needs cron', 'An interval is the same in every zone.');
    const everyMs = read.duration(every, 'every');
    if (everyMs < leastMs)
      throw read.wrong('every', 'expected at least 1s', 'A sync is started once a second at most.');
    return { ...rest, everyMs };
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {
    throw read.wrong(
      'timezone',
      `there is no time zone \`${timezone}\``,
      'Use an IANA name such as Europe/Zurich or UTC.',
    );
  }
  const rule = { ...rest, cron: cron!, timezone };
  try {
    if (nextDue(rule, 0) !== undefined) return rule;
  } catch {
    throw read.wrong(
      'cron',
      `\`${cron}\` is not a cron pattern`,
      'Five fields: minute hour day month weekday, e.g. "30 2 * * 1-5".',
    );
  }
  throw read.wrong('cron', `\`${cron}\` never comes`, 'Look at its day and month.');
};

/** The rule's next time after this one, milliseconds since 1970; undefined: never. */
export const nextDue = (rule: ScheduleRule, after: number): number | undefined =>
  'everyMs' in rule
    ? (Math.floor(after / rule.everyMs) + 1) * rule.everyMs
    : new Cron(rule.cron, { timezone: rule.timezone, paused: true }).nextRun(new Date(after))?.getTime();

const longMs = 2 * 86_400_000;
/** A rule that comes more often in that time does not come at one time of the day. */
const mostSteps = 300;

/**
 * The first time after `now` when the last one was `due`. From one to the next: where clocks are put back, an hour comes
 * twice, and a daily time in it once.
 */
export const dueAfter = (rule: ScheduleRule, due: number, now: number): number | undefined => {
  if ('everyMs' in rule) return nextDue(rule, Math.max(due, now));
  let at: number | undefined = Math.max(due, now - longMs);
  for (let step = 0; step < mostSteps && at !== undefined; step++) {
    at = nextDue(rule, at);
    if (at === undefined || at > now) return at;
  }
  return nextDue(rule, now);
};
