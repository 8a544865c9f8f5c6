import type { AlertSettings } from '../config/alerts.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Redactor } from '../lib/redact.ts';
import type { Alert } from '../model/alerts.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Store } from '../model/store.ts';
import type { Log } from '../telemetry/log.ts';
import { decide } from './decide.ts';
import { gatherFacts } from './facts.ts';
import { conditionsOf } from './rules.ts';
import { NotSent, send } from './send.ts';

export interface WatchOptions {
  readonly store: Pick<Store, 'alerts' | 'monitoring' | 'waits' | 'conflicts'>;
  config(): Config;
  readonly clock: Clock;
  readonly log: Log;
  /** When the backups were made that were found damaged, as far as this machine can tell; absent: nobody looks. */
  damagedBackups?(): Promise<readonly number[]>;
  /** What is told holds no secrets, whatever a message of a database holds. */
  readonly redactor: Pick<Redactor, 'redact'>;
  /** Known in the store while it has its turn, e.g. `serve@host/4711`. */
  readonly process: string;
}

/** Pauses between attempts; a message that has been tried after each of them is given up, after about a day. */
const pausesMs: readonly number[] = [5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 28_800].map((s) => s * 1000);
const holdMs = 60_000;
const atOnce = 20;
const keptMs = 90 * 86_400_000;
/** Longer than any service level looks back. */
const provedMs = 400 * 86_400_000;

/** Looks at every rule once, if it is this process's turn; the alerts that changed or still stand. */
export const evaluate = async (o: WatchOptions, c: Cancel): Promise<readonly Alert[] | undefined> => {
  const config = o.config();
  const settings = config.alerts;
  const turn = await o.store.alerts.turn(o.process, settings.everyMs * 0.9, c);
  if (turn === undefined) return undefined;
  const now = o.clock.now();
  const damaged = await o.damagedBackups?.();
  const facts = { ...(await gatherFacts(o.store, config, now, c)), ...(damaged === undefined ? {} : { damaged }) };
  const clean = (text: string): string => o.redactor.redact(text);
  const conditions = conditionsOf(facts, settings.rules).map((found) => ({
    ...found,
    summary: clean(found.summary),
    detail: clean(found.detail),
  }));
  const channels = Object.keys(settings.channels);
  const alerts = await o.store.alerts.change(
    turn,
    now,
    (open, silences) =>
      decide(open, silences, conditions, {
        now,
        repeatMs: settings.repeatMs,
        channels,
        newId: (prefix) => newId(prefix, now),
      }),
    c,
  );
  for (const a of alerts ?? [])
    if (a.fired !== null && (a.fired === now || a.state === 'resolved'))
      o.log.info(`alert ${a.state}`, { alert: a.id, rule: a.rule, subject: a.subject, sync: a.sync });
  return alerts;
};

/** Sends what is due; how many were sent. Each is held while it is sent, so that no other process sends it, too. */
export const sendDue = async (o: WatchOptions, settings: AlertSettings, c: Cancel): Promise<number> => {
  const { alerts } = o.store;
  let sent = 0;
  const due = await alerts.due(o.clock.now(), holdMs, atOnce, c);
  await Promise.all(
    due.map(async (delivery) => {
      const channel = settings.channels[delivery.channel];
      try {
        if (channel === undefined) throw new NotSent(`there is no channel ${delivery.channel} any more`, false);
        await send(channel, delivery, o.clock.now(), c);
        await alerts.settle(delivery.id, { sent: o.clock.now() }, c);
        sent++;
      } catch (error) {
        c.signal.throwIfAborted();
        const pause = pausesMs[delivery.attempts];
        const again = !(error instanceof NotSent && !error.again) && pause !== undefined;
        const message = error instanceof Error ? error.message : String(error);
        o.log.warn(again ? 'alert not sent, tried again later' : 'alert not sent, given up', {
          channel: delivery.channel,
          delivery: delivery.id,
          attempts: delivery.attempts + 1,
          reason: message,
        });
        await alerts.settle(
          delivery.id,
          again ? { error: message, next: o.clock.now() + pause } : { error: message },
          c,
        );
      }
    }),
  );
  return sent;
};

/**
 * Looks at the rules and sends what there is to say, until the signal is aborted. To be run by every server: they take
 * turns. What goes wrong is logged and tried again; it ends nothing.
 */
export const watchAlerts = async (o: WatchOptions, c: Cancel): Promise<void> => {
  let tended = Number.NEGATIVE_INFINITY;
  let away = false;
  while (!c.signal.aborted) {
    try {
      const { alerts: settings } = o.config();
      await evaluate(o, c);
      await sendDue(o, settings, c);
      if (o.clock.elapsed() - tended > 3_600_000) {
        tended = o.clock.elapsed();
        await o.store.alerts.forget(o.clock.now() - keptMs, c);
        await o.store.monitoring.forget(o.clock.now() - provedMs, c);
      }
      away = false;
      await o.clock.sleep(Math.min(Math.max(settings.everyMs, 1000), 5000), c.signal);
    } catch (error) {
      if (c.signal.aborted) return;
      // A store that is away is told once, not every five seconds.
      if (!away) o.log.error('alerts are not looked at', { error });
      away = true;
      await o.clock.sleep(5000, c.signal).catch(() => {});
    }
  }
};
