import type { Clock } from '../lib/clock.ts';

/** What took time: a route of the API, a call to an endpoint, a statement sent to one. */
export type Timed =
  | { readonly kind: 'route'; readonly method: string; readonly route: string; readonly status: number }
  | { readonly kind: 'endpoint'; readonly endpoint: string; readonly call: string; readonly ok: boolean }
  | { readonly kind: 'statement'; readonly endpoint: string; readonly sql: string; readonly rows: number };

/** Milliseconds, of the last five to ten minutes; quantiles are right within 5 %. */
export interface Latency {
  readonly count: number;
  readonly failed: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** A statement of ours, its values left out. `rows`: read by all its runs together. */
export interface SlowStatement extends Latency {
  readonly endpoint: string;
  readonly sql: string;
  readonly rows: number;
  readonly total: number;
}

/**
 * How long things take in this process: one place that the performance page and the metrics read. Bounded: the least
 * busy statements are forgotten first.
 */
export interface Timings {
  record(what: Timed, ms: number): void;
  /** Told of everything that is recorded from now on. */
  listen(listener: (what: Timed, ms: number) => void): Disposable;
  routes(): readonly (Latency & { readonly method: string; readonly route: string })[];
  endpoints(): readonly (Latency & { readonly endpoint: string })[];
  calls(): readonly (Latency & { readonly endpoint: string; readonly call: string })[];
  /** Slowest at the 95th percentile first. */
  statements(limit: number): readonly SlowStatement[];
}

/** Buckets grow by a tenth, so that the middle of one is at most 5 % off: from 0.01 ms to about four days. */
const growth = 1.1;
const least = 0.01;
const buckets = 256;
/** Numbers are of this window and the one before, milliseconds. */
export const windowMs = 300_000;
const maxStatements = 500;

interface Window {
  readonly counts: Uint32Array;
  count: number;
  failed: number;
  sum: number;
  max: number;
  rows: number;
}

const emptyWindow = (): Window => ({
  counts: new Uint32Array(buckets),
  count: 0,
  failed: 0,
  sum: 0,
  max: 0,
  rows: 0,
});

const bucketOf = (ms: number): number =>
  ms <= least ? 0 : Math.min(buckets - 1, Math.ceil(Math.log(ms / least) / Math.log(growth)));

const middleOf = (bucket: number): number => (bucket === 0 ? least : least * growth ** (bucket - 0.5));

/** What was recorded of one thing in this window of time and the one before. */
interface Series {
  now: Window;
  before: Window;
  /** Number of the window that `now` is. */
  at: number;
}

const rolled = (series: Series, at: number): Series => {
  if (at === series.at) return series;
  series.before = at === series.at + 1 ? series.now : emptyWindow();
  series.now = emptyWindow();
  series.at = at;
  return series;
};

const latencyOf = ({ now, before }: Series): Latency => {
  const count = now.count + before.count;
  const max = Math.max(now.max, before.max);
  const at = (share: number): number => {
    let left = Math.ceil(count * share);
    for (let i = 0; i < buckets; i++) {
      left -= now.counts[i]! + before.counts[i]!;
      if (left <= 0) return Math.min(middleOf(i), max);
    }
    return max;
  };
  const round = (ms: number): number => Math.round(ms * 100) / 100;
  return {
    count,
    failed: now.failed + before.failed,
    mean: count === 0 ? 0 : round((now.sum + before.sum) / count),
    p50: count === 0 ? 0 : round(at(0.5)),
    p95: count === 0 ? 0 : round(at(0.95)),
    p99: count === 0 ? 0 : round(at(0.99)),
    max: round(max),
  };
};

/** Names in double quotes or backticks (kept) · E'…' with escapes · '…' · $tag$…$tag$ · $1 · numbers. */
const valuePattern =
  /("(?:[^"]|"")*"|`[^`]*`)|\be'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)|(\$[a-z_]*\$)[\s\S]*?(?:\2|$)|\$\d+|\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b/gi;

/**
 * A statement without its values: texts, numbers and lists of them become `?`, so that no cell of a row is kept and the
 * same statement with other values is the same one. What may be a value is taken for one: where backticks quote names,
 * double quotes are texts; and after a backslash before a quote nothing is kept, since engines read it in two ways.
 */
export const withoutValues = (sql: string): string => {
  const doubtful = /(?<!\be'[^']*)\\'/i.exec(sql);
  const read = doubtful === null ? sql : `${sql.slice(0, doubtful.index)}`;
  const textsInDouble = read.includes('`');
  return read
    .replace(valuePattern, (_, name?: string) =>
      name === undefined || (textsInDouble && name.startsWith('"')) ? '?' : name,
    )
    .replace(/\s+/g, ' ')
    .replace(/\?(?:\s*,\s*\?)+/g, '?, …')
    .replace(/(\([^()]{0,40}\?[^()]{0,40}\))(?:\s*,\s*\([^()]{0,40}\?[^()]{0,40}\))+/g, '$1, …')
    .trim()
    .slice(0, 1000);
};

export const openTimings = (clock: Pick<Clock, 'elapsed'>): Timings => {
  const all = {
    route: new Map<string, Series>(),
    call: new Map<string, Series>(),
    statement: new Map<string, Series>(),
  };
  const endpoints = new Map<string, Series>();
  const listeners = new Set<(what: Timed, ms: number) => void>();
  const window = (): number => Math.floor(clock.elapsed() / windowMs);

  const add = (to: Map<string, Series>, name: string, ms: number, failed: boolean, rows = 0): void => {
    const at = window();
    let series = to.get(name);
    if (series === undefined) {
      series = { now: emptyWindow(), before: emptyWindow(), at };
      to.set(name, series);
    }
    const { now } = rolled(series, at);
    now.counts[bucketOf(ms)]!++;
    now.count++;
    now.sum += ms;
    now.max = Math.max(now.max, ms);
    now.rows += rows;
    if (failed) now.failed++;
  };

  /** Keeps the busier half when there are too many kinds of statements. */
  const thin = (): void => {
    if (all.statement.size <= maxStatements) return;
    const weight = (s: Series): number => s.now.sum + s.before.sum;
    const sorted = [...all.statement].sort((a, b) => weight(b[1]) - weight(a[1]));
    for (const [name] of sorted.slice(maxStatements / 2)) all.statement.delete(name);
  };

  const seen = (
    from: Map<string, Series>,
  ): (readonly [parts: readonly string[], latency: Latency, series: Series])[] => {
    const at = window();
    return [...from].flatMap(([name, series]) => {
      const latency = latencyOf(rolled(series, at));
      return latency.count === 0 ? [] : [[name.split('\u0000'), latency, series] as const];
    });
  };

  return {
    record: (what, ms) => {
      switch (what.kind) {
        case 'route':
          add(all.route, `${what.method}\u0000${what.route}`, ms, what.status >= 500);
          break;
        case 'endpoint':
          add(endpoints, what.endpoint, ms, !what.ok);
          add(all.call, `${what.endpoint}\u0000${what.call}`, ms, !what.ok);
          break;
        case 'statement':
          add(all.statement, `${what.endpoint}\u0000${withoutValues(what.sql)}`, ms, false, what.rows);
          thin();
          break;
      }
      for (const listener of listeners) listener(what, ms);
    },
    listen: (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    routes: () => seen(all.route).map(([[method, route], latency]) => ({ method: method!, route: route!, ...latency })),
    endpoints: () => seen(endpoints).map(([[endpoint], latency]) => ({ endpoint: endpoint!, ...latency })),
    calls: () =>
      seen(all.call).map(([[endpoint, call], latency]) => ({ endpoint: endpoint!, call: call!, ...latency })),
    statements: (limit) =>
      seen(all.statement)
        .map(([[endpoint, sql], latency, { now, before }]) => ({
          endpoint: endpoint!,
          sql: sql!,
          ...latency,
          rows: now.rows + before.rows,
          total: Math.round(now.sum + before.sum),
        }))
        .sort((a, b) => b.p95 - a.p95)
        .slice(0, limit),
  };
};
