import type { Sync } from '../config/config.ts';
import { nextDue } from '../config/schedule.ts';

/** Times of a schedule that are looked ahead: a week of a daily one, with its free days. */
const ahead = 14;
const day = 86_400_000;

/**
 * How long a sync that starts by itself may go without a proof when nobody says: a day, or twice the longest time
 * between two of its starts (a schedule of working days has its weekends). Undefined: it does not start by itself.
 */
export const rhythmOf = (
  syncs: Readonly<Record<string, Pick<Sync, 'schedule' | 'after'>>>,
  name: string,
  now: number,
  seen: readonly string[] = [],
): number | undefined => {
  const sync = Object.hasOwn(syncs, name) ? syncs[name] : undefined;
  if (sync === undefined || seen.includes(name)) return undefined;
  if (sync.schedule === undefined)
    return sync.after === undefined ? undefined : rhythmOf(syncs, sync.after, now, [...seen, name]);
  if ('everyMs' in sync.schedule) return Math.max(day, 2 * sync.schedule.everyMs);
  let longest = 0;
  let at = nextDue(sync.schedule, now);
  for (let i = 0; i < ahead && at !== undefined; i++) {
    const next = nextDue(sync.schedule, at);
    if (next !== undefined) longest = Math.max(longest, next - at);
    at = next;
  }
  return Math.max(day, 2 * longest);
};
