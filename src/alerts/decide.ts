import type { Alert, Condition, Delivery, DeliveryBody, Silence } from '../model/alerts.ts';

const keyOf = (a: Pick<Condition, 'rule' | 'subject'>): string => JSON.stringify([a.rule, a.subject]);

export const silenced = (a: Pick<Alert, 'rule' | 'sync' | 'subject'>, silences: readonly Silence[]): boolean =>
  silences.some(
    (s) =>
      (s.rule === null || s.rule === a.rule) &&
      (s.sync === null || s.sync === a.sync) &&
      (s.subject === null || s.subject === a.subject),
  );

const meant = (a: Pick<Alert, 'send'>, channel: string): boolean => a.send === null || a.send.includes(channel);

/** One alert as a message says it. */
const told = (a: Alert): DeliveryBody['alerts'][number] => ({
  id: a.id,
  rule: a.rule,
  state: a.state === 'resolved' ? 'resolved' : 'firing',
  severity: a.severity,
  subject: a.subject,
  summary: a.summary,
  detail: a.detail,
  since: new Date(a.since).toISOString(),
  ...(a.resolved === null ? {} : { resolved: new Date(a.resolved).toISOString() }),
  command: a.command,
});

export interface DecideOptions {
  readonly now: number;
  readonly repeatMs: number | undefined;
  /** Names of the channels that there are. */
  readonly channels: readonly string[];
  /** A new id; `al` for an alert, `msg` for a message. */
  newId(prefix: string): string;
}

/**
 * What becomes of the alerts: pending while a condition has not lasted long enough, firing, resolved when it is gone. A
 * pending one whose condition goes away leaves nothing. Told are alerts that fire and are not silenced, and their end;
 * those of one sync in one message to each channel.
 */
export const decide = (
  open: readonly Alert[],
  silences: readonly Silence[],
  conditions: readonly Condition[],
  o: DecideOptions,
): { readonly alerts: readonly Alert[]; readonly deliveries: readonly Omit<Delivery, 'attempts'>[] } => {
  const { now } = o;
  const before = new Map(open.map((a) => [keyOf(a), a]));
  const present = new Set(conditions.map(keyOf));
  const tell: Alert[] = [];

  const alerts = conditions.map((c): Alert => {
    const { forMs, since: began, ...facts } = c;
    const there = before.get(keyOf(c));
    const since = there?.since ?? Math.min(began ?? now, now);
    // Whatever a cause's own time says, the first look at it is not the last: `for` is lived through or proved by `since`.
    const firing = there?.state === 'firing' || now - since >= forMs;
    const alert: Alert = {
      id: there?.id ?? o.newId('al'),
      ...facts,
      state: firing ? 'firing' : 'pending',
      since,
      fired: there?.fired ?? (firing ? now : null),
      resolved: null,
      notified: there?.notified ?? null,
      acked: there?.acked ?? null,
    };
    if (!firing || silenced(alert, silences) || !o.channels.some((name) => meant(alert, name))) return alert;
    const due =
      alert.notified === null
        ? alert.acked === null
        : o.repeatMs !== undefined && alert.acked === null && now - alert.notified >= o.repeatMs;
    if (!due) return alert;
    const notified = { ...alert, notified: now };
    tell.push(notified);
    return notified;
  });

  for (const a of open) {
    if (present.has(keyOf(a))) continue;
    const resolved: Alert = { ...a, state: 'resolved', resolved: now };
    alerts.push(resolved);
    if (a.notified !== null && !silenced(a, silences)) tell.push(resolved);
  }
  return { alerts, deliveries: messages(tell, o) };
};

const messages = (tell: readonly Alert[], o: DecideOptions): readonly Omit<Delivery, 'attempts'>[] =>
  o.channels.flatMap((channel) => {
    const groups = new Map<string, Alert[]>();
    for (const a of tell) {
      if (!meant(a, channel)) continue;
      const group = a.sync ?? '';
      groups.set(group, [...(groups.get(group) ?? []), a]);
    }
    return [...groups].map(([sync, alerts]) => ({
      id: o.newId('msg'),
      channel,
      made: o.now,
      body: {
        schema_version: 1 as const,
        type: 'alerts' as const,
        sync: sync === '' ? null : sync,
        at: new Date(o.now).toISOString(),
        alerts: alerts.map(told),
      },
    }));
  });
