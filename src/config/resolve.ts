import { closest } from '../lib/suggest.ts';
import type { Tolerance } from '../model/pair.ts';
import type { ConflictPolicy } from '../model/policy.ts';
import { approvalsOf } from './approvals.ts';
import { backupsOf } from './backups.ts';
import { cacheOf } from './cache.ts';
import type { ColumnSteps, Validation } from './column-schema.ts';
import {
  type ApplySettings,
  type Config,
  defaultGuards,
  defaultRetry,
  defaultSettleMs,
  type EndpointEntry,
  type Guards,
  type PairEntry,
  type Retry,
  type Sync,
} from './config.ts';
import { conflictsOf, keptApart } from './conflict.ts';
import { pairTypesOf, typesOf } from './copy-types.ts';
import { differencesOf } from './differences.ts';
import { httpEntry, secretsOf } from './http-entry.ts';
import { incrementalOf } from './incremental.ts';
import { alertsOf, logOf, measuresOf, sloOf } from './monitoring.ts';
import type { ConfigDocument } from './places.ts';
import { readSection } from './read-section.ts';
import { endpointsOf, recordsOf } from './records-of.ts';
import { resolveReferences, type Surroundings } from './references.ts';
import { inlineSecrets } from './remarks.ts';
import { breakerOf } from './resilience.ts';
import { retentionOf } from './retention.ts';
import { checkWhole, sampleShare } from './sample.ts';
import { scheduleOf } from './schedule.ts';
import type { ConfigFile } from './schema.ts';
import { auditKeysOf, checkpointEvery, serverOf } from './server.ts';
import { concealedOf, storedOf } from './stored.ts';
import type { WrittenColumnStore } from './stored-schema.ts';
import { tracesOf } from './telemetry.ts';
import { transformOf } from './transform-of.ts';
import { checkBothWritable, checkTwoWayPair } from './two-way.ts';
import { parseDuration, parseShare } from './units.ts';
import { configError } from './validate.ts';

type FileEndpoint = NonNullable<ConfigFile['endpoints']>[string];
type FileSync = NonNullable<ConfigFile['syncs']>[string];
type Syncs = Readonly<Record<string, FileSync>>;
type FilePair = NonNullable<FileSync['pairs']>[number];
type Path = readonly PropertyKey[];

/** Everything that turning the written form into the used form needs to know. */
interface Reading {
  readonly document: ConfigDocument;
  readonly around: Surroundings;
}

/** A number that may be written as a reference; throws CONFIG at its place when what it refers to is no number. */
const numberAt = (r: Reading, value: unknown, path: Path, least: number): number => {
  const text = resolveReferences(value, path, r.document, r.around);
  const number = typeof text === 'number' ? text : Number(text);
  if (Number.isInteger(number) && number >= least && String(text).trim() !== '') return number;
  throw configError(r.document, path, `${path.map(String).join('.')}: expected a whole number, at least ${least}`);
};

const durationAt = (r: Reading, value: string | 0, path: Path): number => {
  const ms = parseDuration(resolveReferences(value, path, r.document, r.around) as string);
  if (ms !== undefined) return ms;
  throw configError(r.document, path, `${path.map(String).join('.')}: expected a duration such as 500ms, 5s or 2m`);
};

const flagAt = (r: Reading, value: unknown, path: Path): boolean => {
  const flag = resolveReferences(value, path, r.document, r.around);
  if (flag === true || flag === 'true') return true;
  if (flag === false || flag === 'false') return false;
  throw configError(r.document, path, `${path.map(String).join('.')}: expected true or false`);
};

const lineOf = (r: Reading, path: Path): number | undefined => r.document.place(path, 'key')?.line;

const endpointOf = (r: Reading, name: string, entry: FileEndpoint): EndpointEntry => {
  const path: Path = ['endpoints', name];
  const { writable, limits, retry, breaker, replicas, ...rest } = entry;
  if (rest.url === undefined && rest.engine === undefined) {
    throw configError(r.document, path, `endpoint \`${name}\` has neither url nor engine`, {
      of: 'key',
      hint: 'Give `url: "${env:…}"`, or `engine: postgres` with host, port, user, password and database.',
    });
  }
  const clash = (['host', 'port', 'user', 'password', 'database', 'path', 'engine'] as const).find(
    // an API has both: its address is a url, and `engine: http` says what it is
    (k) =>
      rest[k] !== undefined && !(k === 'engine' && rest.engine === 'http' && /^(https?:|\$\{)/i.test(rest.url ?? '')),
  );
  if (rest.url !== undefined && clash !== undefined) {
    throw configError(r.document, [...path, clash], `endpoint \`${name}\` has both url and ${clash}`, {
      of: 'key',
      hint: 'Use a url, or engine and parts; not both.',
    });
  }
  const connection = (): string | Readonly<Record<string, unknown>> => {
    const { url, ...parts } = rest;
    const settings = { ...parts, ...(url === undefined ? {} : { url }) };
    const values = resolveReferences(settings, path, r.document, r.around) as Record<string, unknown>;
    const port = values['port'];
    if (port !== undefined) values['port'] = numberAt(r, port, [...path, 'port'], 1);
    if (values['http'] !== undefined)
      values['http'] = httpEntry(values['http'], {
        retry: retry === undefined ? undefined : retryOf(r, retry, path),
        wrong: (key, what) => configError(r.document, [...path, 'http', key], `${key}: ${what}`),
        secret: (value) => r.around.onSecret?.(value),
      });
    return values['url'] !== undefined && Object.keys(values).length === 1 ? (values['url'] as string) : values;
  };
  return {
    name,
    writable: writable === undefined ? false : flagAt(r, writable, [...path, 'writable']),
    connection,
    credentials: references([rest.url, rest.password, ...secretsOf(rest.http).map((s) => s.value)]),
    line: lineOf(r, path),
    ...(retry === undefined ? {} : { retry: retryOf(r, retry, path) }),
    breaker: breakerOf(breaker, {
      number: (value, key) => numberAt(r, value, [...path, 'breaker', key], 1),
      duration: (value, key) => durationAt(r, value, [...path, 'breaker', key]),
    }),
    replicas: () => resolveReferences(replicas ?? [], [...path, 'replicas'], r.document, r.around) as string[],
    ...(limits?.concurrency === undefined
      ? {}
      : { concurrency: numberAt(r, limits.concurrency, [...path, 'limits', 'concurrency'], 1) }),
    ...(limits?.rows_per_second === undefined
      ? {}
      : { rowsPerSecond: numberAt(r, limits.rows_per_second, [...path, 'limits', 'rows_per_second'], 1) }),
    ...(limits?.statement_timeout === undefined
      ? {}
      : {
          statementTimeoutMs: durationAt(r, limits.statement_timeout as string, [
            ...path,
            'limits',
            'statement_timeout',
          ]),
        }),
  };
};

const references = (values: readonly (string | undefined)[]): readonly string[] =>
  values.flatMap((value) => [...(value ?? '').matchAll(/\$\{[a-z]+:[^}]*\}/g)].map((m) => m[0]));

/** The tolerance that `0.01`, `"0.01"` or `{ fraction: 3, trim: true }` means. */
export const toleranceOf = (value: unknown): Tolerance => {
  if (typeof value === 'number' || typeof value === 'string') return { numeric: plainNumber(value) };
  const t = value as {
    numeric?: number | string;
    fraction?: number;
    ignore_case?: boolean;
    trim?: boolean;
    null_equals_empty?: boolean;
  };
  return {
    ...(t.numeric === undefined ? {} : { numeric: plainNumber(t.numeric) }),
    ...(t.fraction === undefined ? {} : { fraction: t.fraction }),
    ...(t.ignore_case ? { ignoreCase: true as const } : {}),
    ...(t.trim ? { trim: true as const } : {}),
    ...(t.null_equals_empty ? { nullEqualsEmpty: true as const } : {}),
  };
};

/** Decimal text without an exponent: JavaScript prints 0.0000001 as 1e-7. */
const plainNumber = (value: number | string): string => {
  const text = String(value);
  if (!/e/i.test(text)) return text;
  return Number(text)
    .toFixed(20)
    .replace(/\.?0+$/, '');
};

const pairOf = (r: Reading, pair: FilePair, path: Path, policy: ConflictPolicy | undefined): PairEntry => {
  const conflict = policy === undefined ? {} : { conflict: policy };
  if (typeof pair === 'string') return { source: pair, map: {}, exclude: [], tolerances: {}, ...conflict };
  const p = pair as Exclude<FilePair, string> & {
    source: string;
    target?: string;
    key?: string[] | Record<string, string>;
    columns?: Record<string, ({ to?: string; tolerance?: unknown; store?: WrittenColumnStore } & ColumnSteps) | null>;
    validate?: Validation;
    only?: string[];
    exclude?: string[];
    where?: string | { source?: string; target?: string };
    sample?: string | number;
  };
  const columns = Object.entries(p.columns ?? {});
  const map = Object.fromEntries(columns.flatMap(([from, c]) => (c?.to === undefined ? [] : [[from, c.to]])));
  const key =
    p.key === undefined
      ? undefined
      : Array.isArray(p.key)
        ? p.key.map((k) => [k, map[k] ?? k] as const)
        : Object.entries(p.key);
  const where = typeof p.where === 'string' ? { source: p.where, target: p.where } : p.where;
  const types = pairTypesOf(p.columns, r.document, path);
  const transform = transformOf(p.columns, p.validate, r.document, path);
  return {
    source: p.source,
    ...(p.target === undefined ? {} : { target: p.target }),
    ...(key === undefined ? {} : { key }),
    map,
    ...(p.only === undefined ? {} : { only: p.only }),
    exclude: p.exclude ?? [],
    tolerances: {
      ...Object.fromEntries(
        columns.flatMap(([from, c]) => (c?.tolerance === undefined ? [] : [[from, toleranceOf(c.tolerance)]])),
      ),
      ...keptApart(pair),
    },
    ...(where === undefined ? {} : { where }),
    ...(p.sample === undefined ? {} : { sample: sampleShare(p.sample, r.document, [...path, 'sample']) }),
    ...(Object.keys(types).length === 0 ? {} : { types }),
    ...concealedOf(p.columns),
    ...(transform === undefined ? {} : { transform }),
    ...conflict,
  };
};

const guardsOf = (r: Reading, guards: FileSync['guards'], path: Path): Guards => ({
  maxChanges:
    guards?.max_changes === undefined
      ? defaultGuards.maxChanges
      : numberAt(r, guards.max_changes, [...path, 'guards', 'max_changes'], 0),
  maxChangeRatio:
    guards?.max_change_ratio === undefined
      ? defaultGuards.maxChangeRatio
      : shareAt(r, guards.max_change_ratio as string | number, [...path, 'guards', 'max_change_ratio']),
  maxDeletes:
    guards?.max_deletes === undefined
      ? defaultGuards.maxDeletes
      : numberAt(r, guards.max_deletes, [...path, 'guards', 'max_deletes'], 0),
  emptySource: guards?.empty_source ?? defaultGuards.emptySource,
});

const shareAt = (r: Reading, value: string | number, path: Path): number => {
  const share = parseShare(value);
  if (share !== undefined) return share;
  throw configError(r.document, path, `${path.map(String).join('.')}: expected a percentage from 0% to 100%`);
};

const applyOf = (r: Reading, apply: FileSync['apply'], path: Path): ApplySettings => {
  const at = (key: string): Path => [...path, 'apply', key];
  return {
    ...(apply?.batch_size === undefined ? {} : { batchSize: numberAt(r, apply.batch_size, at('batch_size'), 1) }),
    ...(apply?.batch_delay === undefined ? {} : { batchDelayMs: durationAt(r, apply.batch_delay, at('batch_delay')) }),
    ...(apply?.concurrency === undefined ? {} : { concurrency: numberAt(r, apply.concurrency, at('concurrency'), 1) }),
    ...(apply?.atomic === undefined ? {} : { atomic: apply.atomic }),
  };
};

const retryOf = (r: Reading, retry: FileEndpoint['retry'], path: Path): Retry => {
  const at = (key: string): Path => [...path, 'retry', key];
  return {
    attempts: retry?.attempts === undefined ? defaultRetry.attempts : numberAt(r, retry.attempts, at('attempts'), 1),
    baseMs: retry?.base === undefined ? defaultRetry.baseMs : durationAt(r, retry.base, at('base')),
    maxMs: retry?.max === undefined ? defaultRetry.maxMs : durationAt(r, retry.max, at('max')),
  };
};

/** When it is started by itself. */
const startsOf = (r: Reading, name: string, sync: FileSync, others: Syncs): Pick<Sync, 'schedule' | 'after'> => {
  const path: Path = ['syncs', name];
  const { after, schedule } = sync;
  if (after !== undefined && others[after] === undefined)
    throw configError(r.document, [...path, 'after'], `there is no sync \`${after}\``, {
      hint: `Syncs: ${Object.keys(others).join(', ')}.`,
    });
  const seen = new Set<string>();
  for (let at: string | undefined = name; at !== undefined; at = others[at]?.after) {
    if (seen.has(at)) throw configError(r.document, [...path, 'after'], `\`${name}\` would wait for itself`);
    seen.add(at);
  }
  return {
    ...(after === undefined ? {} : { after }),
    ...(schedule === undefined
      ? {}
      : {
          schedule: scheduleOf(schedule, {
            duration: (value, key) => durationAt(r, value, [...path, 'schedule', key]),
            wrong: (key, what, hint) =>
              configError(r.document, [...path, 'schedule', ...(key === undefined ? [] : [key])], what, { hint }),
          }),
        }),
  };
};

const syncOf = (r: Reading, name: string, sync: FileSync, endpoints: readonly string[], others: Syncs): Sync => {
  const path: Path = ['syncs', name];
  for (const side of ['source', 'target'] as const) {
    if (endpoints.includes(sync[side])) continue;
    const meant = closest(sync[side], endpoints);
    throw configError(r.document, [...path, side], `there is no endpoint \`${sync[side]}\``, {
      note: meant === undefined ? undefined : `did you mean ${meant}?`,
      hint: `Endpoints: ${endpoints.join(', ') || 'none'}.`,
    });
  }
  if (sync.other_tables === 'ignore' && sync.pairs === undefined) {
    throw configError(r.document, [...path, 'other_tables'], '`other_tables: ignore` needs pairs', {
      hint: 'Without pairs every table is meant. Name those to leave out: exclude_tables: [a, b].',
    });
  }
  checkWhole(sync, r.document, path);
  const conflicts = conflictsOf(
    { document: r.document, duration: (value, at) => durationAt(r, value, at) },
    sync,
    path,
  );
  if (sync.mode === 'two_way')
    for (const [i, pair] of (sync.pairs ?? []).entries()) checkTwoWayPair(r.document, pair, [...path, 'pairs', i]);
  return {
    name,
    source: sync.source,
    target: sync.target,
    mode: sync.mode ?? 'mirror',
    settleMs: sync.settle === undefined ? defaultSettleMs : durationAt(r, sync.settle as string, [...path, 'settle']),
    ...(sync.slo === undefined ? {} : { slo: sloOf(r, sync.slo, [...path, 'slo']) }),
    ...(sync.approvals === undefined
      ? {}
      : {
          approvals: approvalsOf(
            sync.approvals,
            [name, 'approvals'],
            sync.mode,
            readSection('syncs', r.document, r.around),
          ),
        }),
    ...startsOf(r, name, sync, others),
    guards: guardsOf(r, sync.guards, path),
    apply: applyOf(r, sync.apply, path),
    ...(sync.incremental === undefined
      ? {}
      : {
          incremental: incrementalOf(sync.incremental, (value, key) =>
            durationAt(r, value, [...path, 'incremental', key]),
          ),
        }),
    differences: differencesOf(sync.differences, (value) => durationAt(r, value, [...path, 'differences', 'history'])),
    ...(conflicts.sync === undefined ? {} : { conflicts: conflicts.sync }),
    ...(sync.sample === undefined
      ? {}
      : { sample: sampleShare(sync.sample as string | number, r.document, [...path, 'sample']) }),
    pairs: sync.pairs?.map((p, i) => pairOf(r, p, [...path, 'pairs', i], conflicts.pairs[i])),
    excludeTables: sync.exclude_tables ?? [],
    types: typesOf(sync.types, r.document, [...path, 'types']),
    otherTables: sync.other_tables ?? 'ignore',
    line: lineOf(r, path),
  };
};

/** Fills in defaults, checks what a schema cannot, and leaves secrets to be looked up when they are used. */
export const resolveConfig = (
  file: ConfigFile,
  document: ConfigDocument,
  dir: string,
  around: Surroundings,
): Config => {
  const r: Reading = { document, around };
  const written = endpointsOf(file, document);
  const endpoints = Object.fromEntries(Object.entries(written).map(([name, e]) => [name, endpointOf(r, name, e)]));
  const names = Object.keys(endpoints);
  const syncs = Object.fromEntries(
    Object.entries(file.syncs ?? {}).map(([name, s]) => [name, syncOf(r, name, s, names, file.syncs ?? {})]),
  );
  checkBothWritable(document, syncs, endpoints);
  const spot = (path: Path) => ({ path: path.map(String).join('.'), line: lineOf(r, path) });
  return {
    file: document.file,
    dir,
    endpoints,
    syncs,
    records: recordsOf(file, document, names, around),
    log: logOf(file.server?.log, dir),
    publicMetrics: () => {
      const written = file.server?.metrics?.public;
      return written === undefined
        ? false
        : readSection('server', document, around).flag(written, ['metrics', 'public']);
    },
    measures: measuresOf(r, file.metrics, Object.fromEntries(Object.values(syncs).map((s) => [s.name, s.pairs]))),
    alerts: alertsOf(r, file.alerts, [...Object.keys(syncs), ...names]),
    backups: backupsOf(file.backups, dir, names, readSection('backups', document, around), (v) => around.onSecret?.(v)),
    retention: () => retentionOf(file.retention, readSection('retention', document, around)),
    cache: () => cacheOf(file.cache, readSection('cache', document, around), (v) => around.onSecret?.(v)),
    traces: () => tracesOf(file.telemetry, readSection('telemetry', document, around), (v) => around.onSecret?.(v)),
    server: () => serverOf(file.server, readSection('server', document, around)),
    audit: () => auditKeysOf(file.audit, readSection('audit', document, around), (value) => around.onSecret?.(value)),
    stored: () => storedOf(file.stored, readSection('stored', document, around), (value) => around.onSecret?.(value)),
    checkpointEveryMs: () => checkpointEvery(file.audit, readSection('audit', document, around)),
    control: () =>
      file.control === undefined
        ? undefined
        : (resolveReferences(file.control, ['control'], document, around) as string),
    inlineSecrets: inlineSecrets(file).map(spot),
  };
};
