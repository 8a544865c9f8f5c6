import type { Config } from '../config/config.ts';
import { dueAfter, nextDue, type ScheduleRule } from '../config/schedule.ts';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Asked, RunRequest } from '../model/service.ts';
import type { ScheduleState, ServiceStore } from '../model/service-store.ts';
import type { Log } from '../telemetry/log.ts';
import { newBell, ringFor } from './bell.ts';

export interface SchedulerOptions extends Cancel {
  readonly store: Pick<ServiceStore, 'schedules' | 'events' | 'paused' | 'waits'>;
  config(): Config;
  readonly clock: Clock;
  /** 0 <= x < 1 */
  readonly random: () => number;
  readonly log: Log;
}

/** Starts syncs by their schedules. Several may run on one store: each start is made by one of them. */
export interface Scheduler {
  /** The configuration has changed. */
  reload(): Promise<void>;
  /** Ends when the signal is aborted. */
  readonly ended: Promise<void>;
}

const pollMs = 1000;
/** Later than this (and than its own interval), a start counts as missed. */
const graceMs = 60_000;

/** What is started by itself. */
interface Scheduled {
  /** Of a sync; of the backups a name that no sync can have. */
  readonly name: string;
  readonly schedule?: ScheduleRule;
  readonly after?: string;
  readonly request: RunRequest;
}

/** The lane of its runs. */
const backups = 'backup all';

/** What a schedule asks of a sync: what it is for, under its guards. */
const allOf = (config: Config): Readonly<Record<string, Scheduled>> => ({
  ...Object.fromEntries(
    Object.values(config.syncs).map(({ name, mode, schedule, after }) => [
      name,
      {
        name,
        ...(schedule === undefined ? {} : { schedule }),
        ...(after === undefined ? {} : { after }),
        request: { kind: mode === 'compare' ? ('diff' as const) : ('sync' as const), sync: name },
      },
    ]),
  ),
  ...(config.backups?.schedule === undefined
    ? {}
    : { [backups]: { name: backups, schedule: config.backups.schedule, request: { kind: 'backup', backup: 'all' } } }),
});

const ruleText = (sync: Scheduled): string => JSON.stringify([sync.schedule ?? null, sync.after ?? null]);

export const startScheduler = (o: SchedulerOptions): Scheduler => {
  const { store, clock, log } = o;
  const bell = newBell();

  const withJitter = (rule: ScheduleRule, due: number | undefined): { due: number | null; next: number | null } =>
    due === undefined
      ? { due: null, next: null }
      : { due, next: due + Math.floor(o.random() * (rule.jitterMs === 0 ? 0 : rule.jitterMs + 1)) };

  const reload = async (): Promise<void> => {
    const now = clock.now();
    const wanted = Object.values(allOf(o.config())).filter((s) => s.schedule !== undefined || s.after !== undefined);
    const states = await Promise.all(
      wanted.map(async (sync) => ({
        sync: sync.name,
        rule: ruleText(sync),
        // What it follows from now on, not what has been.
        lastAfter: sync.after === undefined ? null : ((await store.schedules.lastEnded(sync.after, 'done', o)) ?? null),
        ...(sync.schedule === undefined
          ? { due: null, next: null }
          : withJitter(sync.schedule, nextDue(sync.schedule, now))),
      })),
    );
    await store.schedules.set(states, o);
    bell.ring();
  };

  /** Why a start that is due is passed over; undefined: it is made. */
  const reasonNot = async (sync: Scheduled, late: number): Promise<string | undefined> => {
    const { schedule } = sync;
    const grace = Math.max(graceMs, schedule !== undefined && 'everyMs' in schedule ? schedule.everyMs : 0);
    if (schedule?.missed === 'skip' && late > grace) return 'missed';
    if ((await store.paused(o)).some((p) => p.sync === sync.name)) return 'paused';
    // A person is to look at a plan that stands still; another one would take its place.
    if (sync.request.kind === 'sync' && (await store.waits.waiting({ ...o, sync: sync.name })).length > 0)
      return 'approval';
    return (await store.schedules.busy(sync.name, o)) ? 'busy' : undefined;
  };

  const fire = async (
    sync: Scheduled,
    seen: ScheduleState,
    to: { readonly due: number | null; readonly next: number | null; readonly after?: string },
    of: { readonly trigger: 'schedule' | 'after'; readonly key: string; readonly skip: string | undefined },
  ): Promise<void> => {
    const now = clock.now();
    const asked: Asked = {
      actor: 'schedule',
      correlation: newId('c', now),
      trigger: of.trigger,
      idempotencyKey: `${sync.name} ${of.key}`,
    };
    const run = of.skip === undefined ? { request: sync.request, asked } : undefined;
    if (!(await store.schedules.fire(seen, { ...to, now }, run, o))) return;
    const fields = { sync: sync.name, correlation: asked.correlation };
    if (of.skip === undefined) log.debug('schedule fired', fields);
    else log[of.skip === 'missed' ? 'info' : 'debug']('schedule passed over', { ...fields, reason: of.skip });
  };

  /** Makes the starts that are due; milliseconds until the next one may be. */
  const look = async (): Promise<number> => {
    const syncs = allOf(o.config());
    let wait = pollMs;
    for (const seen of await store.schedules.list(o)) {
      const sync = syncs[seen.sync];
      if (sync === undefined || seen.rule !== ruleText(sync)) continue;
      const { schedule } = sync;
      const now = clock.now();
      if (schedule !== undefined && seen.next !== null && seen.due !== null && seen.next <= now) {
        const skip = await reasonNot(sync, now - seen.next);
        const to = withJitter(schedule, dueAfter(schedule, seen.due, now));
        await fire(sync, seen, to, { trigger: 'schedule', key: `due ${new Date(seen.due).toISOString()}`, skip });
        if (to.next !== null) wait = Math.min(wait, Math.max(0, to.next - clock.now()));
        continue;
      }
      if (seen.next !== null) wait = Math.min(wait, Math.max(0, seen.next - now));
      if (sync.after === undefined) continue;
      const last = await store.schedules.lastEnded(sync.after, 'done', o);
      if (last === undefined || last === seen.lastAfter) continue;
      const skip = await reasonNot(sync, 0);
      // One that is queued already comes after it, too; one that runs may have read before.
      if (skip === 'busy' || skip === 'approval') continue;
      await fire(sync, seen, { ...seen, after: last }, { trigger: 'after', key: `after ${last}`, skip });
    }
    return wait;
  };

  const loop = async (): Promise<void> => {
    let loaded = false;
    while (!o.signal.aborted) {
      let wait = pollMs;
      try {
        if (!loaded) await reload();
        loaded = true;
        wait = await look();
      } catch (error) {
        if (o.signal.aborted) return;
        log.warn('schedules cannot be read', { error });
      }
      await bell.heard(wait);
    }
  };
  const follow = ringFor(bell, store.events.arrivals(o));
  o.signal.addEventListener('abort', () => bell.ring(), { once: true });
  const ended = Promise.all([loop(), follow]).then(() => {});
  return { reload, ended };
};
