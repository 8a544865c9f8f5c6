import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { cacheSamples } from '../../src/http/routes/metrics.ts';
import { catalogue, type MetricSpec } from '../../src/telemetry/catalogue.ts';
import { exposition } from '../../src/telemetry/exposition.ts';
import { installationSamples } from '../../src/telemetry/installation.ts';
import { processMetrics, runtimeMetrics } from '../../src/telemetry/process-metrics.ts';
import { openTimings } from '../../src/telemetry/timings.ts';
import { ended, heldClock, hour, minute, pairs } from '../alerts/world.ts';
import { freshStore } from '../store/fresh-store.ts';
import { newRun, o } from '../store/plain.ts';
import { metricsOf } from './prometheus.ts';

/** What is exported, what is documented, and what the dashboard and the rules ask for, are the same metrics. */

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const { store, database } = await freshStore();
const specs: Readonly<Record<string, MetricSpec>> = catalogue;

/** An installation in which everything happens that a metric is about. */
const everything = async (): Promise<string> => {
  const clock = heldClock();
  const hostile = 'a"b\\c\nd{x="y"}';
  await ended(store, clock, 'licences', { state: 'failed' });
  const phased = await store.runs.create(newRun({ kind: 'sync', sync: 'licences', started: clock.at }), o);
  await store.runs.update(phased.id, { phases: [{ name: 'apply', started: clock.at, finished: clock.at + 500 }] }, o);
  await store.runs.finish(phased.id, { state: 'cancelled', exit: 130, finished: clock.at }, o);
  const report = {
    verdict: 'differs',
    applied: { insert: 1, update: 1, delete: 1 },
    planned: { withheld: 1 },
    rejected: 1,
    conflicts: 2,
    business: { revenue: '1.5' },
    pairs: pairs({ licences: 5, [hostile]: 0 }),
  };
  await ended(store, clock, 'licences', { report });
  clock.at += hour;
  await ended(store, clock, 'licences', { kind: 'diff', tookMs: 50 * hour, report: { pairs: pairs({ licences: 0 }) } });
  await store.runs.create(newRun({ sync: 'licences', started: clock.at - minute }), o);
  await database.query(`update lockstep_control.run set state = 'queued', requested = '{}' where state = 'running'`);
  await store.monitoring.sample(
    'w',
    clock.at,
    [{ endpoint: 'crm', count: 9, failed: 1, p95: 250, breaker: 'open' }],
    o,
  );
  await store.quarantine.record(
    { sync: 'licences', pair: 'licences', columns: ['id'], run: 'r', at: clock.at },
    [{ key: ['1'], reasons: ['x'], row: {} }] as never,
    o,
  );
  const turn = (await store.alerts.turn('t', 0, o))!;
  const alert = { id: 'al_1', rule: 'drift', subject: 'x', sync: null, severity: 'info', state: 'firing' } as const;
  const rest = {
    summary: '',
    detail: '',
    command: '',
    value: 1,
    send: null,
    resolved: null,
    notified: null,
    acked: null,
  };
  const body = { schema_version: 1, type: 'alerts', sync: null, at: '', alerts: [] } as const;
  await store.alerts.change(
    turn,
    clock.at,
    () => ({
      alerts: [{ ...alert, ...rest, since: clock.at, fired: clock.at }],
      deliveries: [{ id: 'm', channel: 'ops', made: clock.at, body }],
    }),
    o,
  );
  const slos = new Map([['licences', { verifiedWithinMs: hour, agree: 0.9, drift: 0, windowMs: 100 * hour }]]);
  const timings = openTimings(clock);
  using own = processMetrics(timings, '1.2.3');
  timings.record({ kind: 'route', method: 'GET', route: '/api/v1/runs/:id', status: 200 }, 12);
  timings.record({ kind: 'endpoint', endpoint: 'crm', call: 'digest', ok: false }, 1200);
  const samples = await installationSamples(store, slos, clock.at, o);
  const cache = cacheSamples({
    outcomes: { hit: 3, shared: 1, miss: 2, bypass: 0 },
    entries: 2,
    bytes: 1000,
    redis: { up: true, failures: 0 },
  });
  return `${exposition([{ metric: 'lockstep_store_up', labels: {}, value: 1 }, ...samples, ...cache])}${await own.text()}`;
};

const text = await everything();
const samples = metricsOf(text);
const family = (name: string): string => (name in specs ? name : name.replace(/_(bucket|sum|count)$/, ''));
const runtime = new Set(runtimeMetrics().map((m) => m.name));

test('every metric of the catalogue is exported, with the labels that it names, and no other', () => {
  const seen = new Map<string, Set<string>>();
  for (const { name, labels } of samples) {
    const one = family(name);
    if (runtime.has(one) || runtime.has(name)) continue;
    assert.ok(one in specs, `${name} is in no catalogue`);
    const names = new Set(Object.keys(labels).filter((l) => l !== 'le'));
    assert.deepEqual([...names].sort(), [...specs[one]!.labels].sort(), name);
    seen.set(one, names);
  }
  assert.deepEqual(
    Object.keys(specs).filter((name) => !seen.has(name)),
    [],
  );
});

test('counters end in _total, units are base units, and labels are escaped', () => {
  for (const [name, { type }] of Object.entries(specs)) {
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.ok(!/_(ms|milliseconds|us|mb|kb|percent)\b/.test(name), name);
  }
  assert.ok(samples.some((s) => s.labels['pair'] === 'a"b\\c\nd{x="y"}'));
});

test('buckets of a histogram grow, and the last holds everything', () => {
  const buckets = samples.filter((s) => s.name === 'lockstep_run_duration_seconds_bucket');
  const of = (kind: string) => buckets.filter((b) => b.labels['kind'] === kind && b.labels['outcome'] === 'success');
  for (const kind of ['sync', 'diff']) {
    const values = of(kind).map((b) => b.value);
    assert.deepEqual(
      values,
      [...values].sort((a, b) => a - b),
    );
    assert.equal(of(kind).at(-1)!.labels['le'], '+Inf');
    assert.equal(values.at(-1), 1);
  }
  assert.equal(of('diff').at(-2)!.value, 0, 'it took longer than the last bucket');
});

test('every exported metric has a line in the reference', () => {
  const page = read('docs/reference/metrics.md');
  for (const { name } of samples)
    assert.ok(
      [name, family(name)].some((n) => page.includes(`| \`${n}\` |`)),
      `docs/reference/metrics.md lacks ${name}`,
    );
});

/** Metrics with the labels that an expression selects. */
const asked = (expression: string): readonly [metric: string, labels: readonly string[]][] =>
  [...expression.matchAll(/\b(lockstep_\w+)(?:\{([^}]*)\})?/g)].map(([, name, selected]) => [
    name!,
    [...(selected ?? '').matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map((m) => m[1]!),
  ]);
const check = (where: string, expression: string): number => {
  let depth = 0;
  for (const c of expression) {
    depth += '([{'.includes(c) ? 1 : ')]}'.includes(c) ? -1 : 0;
    assert.ok(depth >= 0, `${where}: ${expression}`);
  }
  assert.equal(depth, 0, `${where}: ${expression}`);
  const found = asked(expression);
  for (const [name, labels] of found) {
    assert.ok(
      samples.some((s) => s.name === name),
      `${where} asks for ${name}, which is not exported`,
    );
    for (const label of labels)
      assert.ok(specs[family(name)]?.labels.includes(label), `${where}: ${name} has no ${label}`);
    // Several servers say the same of the installation: it must count once.
    if (specs[family(name)]?.of === 'installation') {
      const once = new RegExp(`\\b(max|min)( by \\([^)]*\\) )?\\(((increase|rate|delta)\\()?${name}\\b`);
      assert.match(expression, once, `${where}: ${name} counts once per server`);
    }
  }
  for (const [, group] of expression.matchAll(/\b(?:by|on)\s*\(([^)]*)\)/g))
    for (const label of group!.split(',').map((l) => l.trim()))
      assert.ok(
        label === 'le' || found.some(([name]) => specs[family(name)]?.labels.includes(label)),
        `${where}: nothing has a label ${label}`,
      );
  return found.length;
};

test('the rules for Prometheus ask for metrics that there are', () => {
  const { groups } = parse(read('ops/prometheus/lockstep.rules.yml')) as {
    groups: { rules: { alert: string; expr: string; annotations: Record<string, string> }[] }[];
  };
  const rules = groups.flatMap((g) => g.rules);
  assert.ok(rules.length >= 10);
  for (const rule of rules) {
    assert.ok(check(rule.alert, rule.expr) > 0, rule.alert);
    const labels = asked(rule.expr).flatMap(([name]): readonly string[] => specs[family(name)]!.labels);
    for (const words of Object.values(rule.annotations))
      for (const [, label] of words.matchAll(/\$labels\.(\w+)/g))
        assert.ok(label === 'instance' || labels.includes(label!), `${rule.alert} names ${label}`);
  }
});

test('the dashboard asks for metrics that there are, and leaves none of agreement out', () => {
  interface Panel {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  }
  const text = read('ops/grafana/lockstep.json');
  const { panels } = JSON.parse(text) as { panels: readonly Panel[] };
  let found = 0;
  for (const { title, targets } of panels)
    for (const { expr, legendFormat } of targets ?? []) {
      found += check(title, expr);
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        assert.ok(
          label === 'instance' || asked(expr).some(([name]) => specs[family(name)]?.labels.includes(label!)),
          `${title} shows ${label}`,
        );
    }
  assert.ok(found >= 25, `only ${found} expressions`);
  for (const name of Object.keys(specs).filter((n) =>
    /verified_timestamp|drift|coverage|error_budget_remaining/.test(n),
  ))
    assert.ok(text.includes(name), name);
  assert.ok(panels.every((p) => p.gridPos.x + p.gridPos.w <= 24));
});
