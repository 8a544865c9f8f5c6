import { resolve } from 'node:path';
import { closest } from '../lib/suggest.ts';
import type { Measure } from '../model/monitoring.ts';
import type { AlertRules, AlertSettings, Channel, LogSettings, Severity, Slo } from './alerts.ts';
import type { PairEntry } from './config.ts';
import type { WrittenAlerts, WrittenLog, WrittenMetrics, WrittenSlo } from './monitoring-schema.ts';
import { durationAt, type Path, type Reading, shareAt } from './read-value.ts';
import { resolveReferences } from './references.ts';
import { configError } from './validate.ts';

const minute = 60_000;
const hour = 60 * minute;

const durationOr = (r: Reading, value: string | 0 | undefined, path: Path, usual: number): number =>
  value === undefined ? usual : durationAt(r, value, path);
const shareOr = (r: Reading, value: string | number | undefined, path: Path, usual: number): number =>
  value === undefined ? usual : shareAt(r, value, path);

/** Business metrics. `syncs`: the pairs of the syncs that there are. */
export const measuresOf = (
  r: Reading,
  written: WrittenMetrics | undefined,
  syncs: Readonly<Record<string, readonly PairEntry[] | undefined>>,
): readonly Measure[] =>
  Object.entries(written?.business ?? {}).map(([name, m]): Measure => {
    const path: Path = ['metrics', 'business', name];
    const known = Object.keys(syncs);
    if (!known.includes(m.sync)) {
      const meant = closest(m.sync, known);
      throw configError(r.document, [...path, 'sync'], `there is no sync \`${m.sync}\``, {
        note: meant === undefined ? undefined : `did you mean ${meant}?`,
      });
    }
    const given = (['count', 'sum', 'delta'] as const).filter((k) => m[k] !== undefined);
    if (given.length !== 1)
      throw configError(r.document, path, `business metric \`${name}\` needs one of count, sum and delta`, {
        of: 'key',
      });
    const column = m.sum ?? m.delta;
    const columns =
      column === undefined
        ? []
        : [
            ...new Set([
              column,
              ...(syncs[m.sync] ?? []).flatMap((p) => (Object.hasOwn(p.map, column) ? [p.map[column]!] : [])),
            ]),
          ];
    return {
      name,
      sync: m.sync,
      ...(m.pair === undefined ? {} : { pair: m.pair }),
      of: m.count !== undefined ? { count: m.count } : m.sum !== undefined ? { sum: columns } : { delta: columns },
    };
  });

export const sloOf = (r: Reading, written: WrittenSlo, path: Path): Slo => {
  const verifiedWithinMs = durationOr(r, written.verified_within as string, [...path, 'verified_within'], 24 * hour);
  if (verifiedWithinMs < minute)
    throw configError(r.document, [...path, 'verified_within'], 'verified_within: expected at least 1m');
  const windowMs = durationOr(r, written.window as string, [...path, 'window'], 30 * 24 * hour);
  if (windowMs > 366 * 24 * hour) throw configError(r.document, [...path, 'window'], 'window: expected at most 366d');
  return {
    verifiedWithinMs,
    agree: shareOr(r, written.agree, [...path, 'agree'], 0.999),
    drift: shareOr(r, written.drift, [...path, 'drift'], 0),
    windowMs,
  };
};

export const logOf = (written: WrittenLog | undefined, dir: string): LogSettings => ({
  level: written?.level ?? 'info',
  ...(written?.file === undefined ? {} : { file: resolve(dir, written.file) }),
});

const secretLength = 24;

const channelOf = (r: Reading, name: string, c: NonNullable<WrittenAlerts['channels']>[string]): Channel => {
  const path: Path = ['alerts', 'channels', name];
  const wrong = (what: string) => configError(r.document, path, `channel \`${name}\` ${what}`, { of: 'key' });
  const value = (key: string, text: string) => (): string => {
    const found = resolveReferences(text, [...path, key], r.document, r.around) as string;
    // The address of an incoming webhook is all that it takes to write there.
    if (key !== 'webhook') r.around.onSecret?.(found);
    return found;
  };
  const kinds = (['webhook', 'slack', 'email'] as const).filter((k) => c[k] !== undefined);
  if (kinds.length !== 1) throw wrong('needs one of webhook, slack and email');
  const common = { name, allowPrivate: c.allow_private ?? false };
  if (c.webhook !== undefined) {
    if (c.secret === undefined) throw wrong('has no secret: what it sends could not be told from anybody else’s');
    const secret = value('secret', c.secret);
    return {
      ...common,
      kind: 'webhook',
      url: value('webhook', c.webhook),
      secret: () => {
        const found = secret();
        if (found.length >= secretLength) return found;
        throw configError(r.document, [...path, 'secret'], `secret: expected at least ${secretLength} characters`);
      },
    };
  }
  if (c.slack !== undefined) return { ...common, kind: 'slack', url: value('slack', c.slack) };
  const { smtp, from } = c;
  if (smtp === undefined || from === undefined) throw wrong('needs smtp and from');
  return {
    ...common,
    kind: 'email',
    to: c.email!,
    from,
    smtp: () => {
      const of = (key: string, text: unknown): string | undefined =>
        text === undefined ? undefined : String(resolveReferences(text, [...path, 'smtp', key], r.document, r.around));
      const tls = smtp.tls ?? 'starttls';
      const port = Number(of('port', smtp.port) ?? (tls === 'always' ? 465 : 587));
      const user = of('user', smtp.user);
      const password = of('password', smtp.password);
      if (password !== undefined) r.around.onSecret?.(password);
      return {
        host: of('host', smtp.host)!,
        port,
        tls,
        ...(user === undefined ? {} : { login: { user, password: password ?? '' } }),
      };
    },
  };
};

/** `known`: syncs and endpoints, which rules may be limited to. */
export const alertsOf = (r: Reading, written: WrittenAlerts | undefined, known: readonly string[]): AlertSettings => {
  const channels = Object.fromEntries(
    Object.entries(written?.channels ?? {}).map(([name, c]) => [name, channelOf(r, name, c)]),
  );
  const rules = written?.rules ?? {};
  const at = (rule: string, key: string): Path => ['alerts', 'rules', rule, key];
  type Written = Exclude<(typeof rules)[keyof typeof rules], false | undefined>;
  const common = (name: keyof AlertRules, forMs: number, severity: Severity) => {
    const w = (rules[name] || {}) as Written;
    for (const [i, to] of (w.send ?? []).entries())
      if (!Object.hasOwn(channels, to))
        throw configError(r.document, [...at(name, 'send'), i], `there is no channel \`${to}\``, {
          hint: `Channels: ${Object.keys(channels).join(', ') || 'none'}.`,
        });
    if (!name.startsWith('backup'))
      for (const [i, only] of (w.only ?? []).entries())
        if (!known.includes(only)) {
          const meant = closest(only, known);
          throw configError(r.document, [...at(name, 'only'), i], `there is no sync and no endpoint \`${only}\``, {
            note: meant === undefined ? undefined : `did you mean ${meant}?`,
          });
        }
    return {
      forMs: durationOr(r, w.for as string | 0 | undefined, at(name, 'for'), forMs),
      severity: w.severity ?? severity,
      send: w.send,
      only: w.only,
    };
  };
  const on = <N extends keyof AlertRules>(
    name: N,
    forMs: number,
    severity: Severity,
    more: (w: Exclude<(typeof rules)[N], false | undefined>) => object = () => ({}),
  ): Pick<AlertRules, N> =>
    (rules[name] === false
      ? {}
      : {
          [name]: {
            ...common(name, forMs, severity),
            ...more((rules[name] ?? {}) as Exclude<(typeof rules)[N], false | undefined>),
          },
        }) as Pick<AlertRules, N>;
  const ms = (rule: string, key: string, value: unknown, usual: number): number =>
    durationOr(r, value as string | 0 | undefined, at(rule, key), usual);
  return {
    everyMs: durationOr(r, written?.every as string | 0 | undefined, ['alerts', 'every'], 15_000),
    repeatMs: written?.repeat ? durationOr(r, written.repeat as string, ['alerts', 'repeat'], 0) : undefined,
    channels,
    rules: {
      ...on('sync_failed', 0, 'critical'),
      ...on('slow_run', 0, 'warning', (w) => ({
        spreads: w.spreads ?? 6,
        leastMs: ms('slow_run', 'least', w.least, 10_000),
        runs: w.runs ?? 8,
      })),
      ...on('endpoint_latency', 2 * minute, 'warning', (w) => ({
        aboveMs: ms('endpoint_latency', 'above', w.above, 5000),
      })),
      ...on('drift', 0, 'warning', (w) => ({ above: shareOr(r, w.above, at('drift', 'above'), 0.01) })),
      ...on('unverified', 0, 'critical', (w) => ({
        afterMs: w.after === undefined ? undefined : ms('unverified', 'after', w.after, 0),
      })),
      ...on('error_budget', 0, 'warning', (w) => ({ left: shareOr(r, w.left, at('error_budget', 'left'), 0.1) })),
      ...on('queue_backlog', minute, 'warning', (w) => ({
        waiting: w.waiting ?? 100,
        olderMs: ms('queue_backlog', 'older_than', w.older_than, 10 * minute),
      })),
      ...on('conflict_spike', 0, 'warning', (w) => ({ above: w.above ?? 10, times: w.times ?? 3 })),
      ...on('conflicts_waiting', 0, 'warning', (w) => ({
        olderMs: ms('conflicts_waiting', 'older_than', w.older_than, 24 * hour),
        moreThan: w.more_than,
      })),
      ...on('breaker_open', 0, 'critical'),
      ...on('approval_waiting', 0, 'info'),
      ...on('backup_failed', 0, 'critical'),
      ...on('backup_stale', 0, 'critical', (w) => ({
        olderMs: ms('backup_stale', 'older_than', w.older_than, 26 * hour),
      })),
    },
  };
};
