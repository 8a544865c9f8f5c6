import type { Config } from '../config/config.ts';
import { policyOf } from '../config/policy-of.ts';
import { count } from '../lib/grouped.ts';
import type { Besides, Endpoint, Finding } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Pair } from '../model/pair.ts';
import type { Column, Table } from '../model/schema.ts';
import { alignAll } from '../work/compare.ts';
import { describedPolicy } from '../work/pair-policy.ts';
import type { Diagnosis } from './diagnosis.ts';
import { examineIncremental } from './doctor-incremental.ts';
import { examineIndexes } from './doctor-indexes.ts';
import { type Job, scopeOf } from './job.ts';
import type { Side } from './side.ts';

const ok = (about: string, code: string, message: string): Diagnosis => ({ about, level: 'ok', code, message });

const diagnosable = (error: unknown): LockstepError => {
  if (!(error instanceof LockstepError)) throw error;
  return error;
};

export const diagnosisOf = (about: string, error: unknown): Diagnosis => {
  const { code, message, hint, details, exit } = diagnosable(error);
  const fix = [...details.map((d) => d.trim()), ...(hint === undefined ? [] : [hint])].join(' · ');
  return { about, level: 'error', code: code.toLowerCase(), message, exit, ...(fix === '' ? {} : { fix }) };
};

/** What `lockstep serve` would say of its settings. What is only not set here may be set where it runs. */
const examineServer = (config: Config): readonly Diagnosis[] => {
  try {
    const { auth, tls } = config.server();
    tls?.();
    config.audit();
    config.checkpointEveryMs();
    if (auth?.mode !== 'none') return [];
    const message = 'server.auth.mode: none lets every program on this machine do everything';
    const fix = 'For trying out only. Leave it out: tokens are made by lockstep token create.';
    return [{ about: 'server', level: 'warning', code: 'open', message, fix }];
  } catch (error) {
    const found = diagnosisOf('server', error);
    if (found.code !== 'secret_missing') return [found];
    const { exit: _, ...rest } = found;
    return [{ ...rest, level: 'warning' }];
  }
};

/** Secrets that lead nowhere here, of what is looked up only when it is used. */
export const missingSecrets = (config: Config): readonly Diagnosis[] => {
  const uses: readonly (readonly [about: string, look: () => unknown])[] = [
    ...Object.values(config.endpoints).flatMap((e) => [[e.name, e.connection] as const, [e.name, e.replicas] as const]),
    ...(config.backups === undefined ? [] : [['backups', config.backups.key] as const]),
    ...Object.values(config.alerts.channels).flatMap((c) => [
      [c.name, () => (c.kind === 'email' ? c.smtp() : c.url())] as const,
      ...(c.kind === 'webhook' ? [[c.name, c.secret] as const] : []),
    ]),
  ];
  return uses.flatMap(([about, look]): Diagnosis[] => {
    try {
      look();
      return [];
    } catch (error) {
      const missing = error instanceof LockstepError && error.code === 'SECRET_MISSING';
      return missing ? [diagnosisOf(about, error)] : [];
    }
  });
};

/** What the config file itself shows, without connecting anywhere. */
export const examineConfig = (config: Config): readonly Diagnosis[] => {
  const at = (line: number | undefined): string => `${config.file}${line === undefined ? '' : `:${line}`}`;
  const counts = `${count(Object.keys(config.endpoints).length, 'endpoint')}, ${count(Object.keys(config.syncs).length, 'sync')}`;
  return [
    ok('config', 'config', `${config.file} is valid: ${counts}`),
    ...config.inlineSecrets.map(
      (s): Diagnosis => ({
        about: 'config',
        level: 'warning',
        code: 'inline_secret',
        message: `${s.path} holds a password (${at(s.line)})`,
        fix: 'Write "${env:NAME}" there and put the value into the environment or .env.',
      }),
    ),
    ...examineServer(config),
  ];
};

/** What the service does at an endpoint besides syncs: records that are written, proofs of backups. */
const besidesOf = (config: Config, name: string): Besides => {
  const { backups } = config;
  const proves = backups !== undefined && (backups.scratch ?? name) === name && backups.databases.includes(name);
  return {
    writes: config.endpoints[name]?.writable
      ? Object.values(config.records).flatMap((r) => (r.endpoint === name ? [r.table] : []))
      : [],
    databases: proves || backups?.scratch === name,
  };
};

/** Connects one side, and asks it about rights, TLS, triggers and indexes for these tables. */
export const examineEndpoint = async (
  endpoint: Endpoint,
  tables: readonly Table[],
  writable: boolean,
  signal: AbortSignal,
  config?: Config,
): Promise<readonly Diagnosis[]> => {
  const besides = config === undefined ? {} : { besides: besidesOf(config, endpoint.name) };
  const findings = (await endpoint.examine?.({ signal, tables, writable, ...besides })) ?? [];
  const { address } = endpoint.fingerprint;
  // PostgreSQL's begins with the number that survives a rename.
  const database = endpoint.fingerprint.database.replace(/^\d+\//, '');
  const where = address.includes(database) ? address : `${database} at ${address}`;
  // What a sync does not write to is still writable where the configuration says so.
  const may = writable || config?.endpoints[endpoint.name]?.writable === true;
  return [
    ok(endpoint.name, 'connected', `${endpoint.version}, ${where}, ${may ? 'writable' : 'read-only'}`),
    ...findings.map((f): Diagnosis => ({ ...f, about: endpoint.name, ...(f.level === 'error' ? { exit: 21 } : {}) })),
  ];
};

const holdsLess = (column: Column, as: Pair['columns'][number]['as']): boolean =>
  !column.loose && JSON.stringify(column.type) !== JSON.stringify(as);

/** Keys, types that cannot hold what the other side has, and indexes that would help, of one pair. */
const examinePair = (
  about: string,
  pair: Pair,
  endpoints: { readonly source: Endpoint; readonly target: Endpoint },
  writes: boolean,
): readonly Diagnosis[] => {
  const found: Diagnosis[] = [];
  const add = (level: Finding['level'], code: string, message: string, fix?: string): void =>
    void found.push({ about, level, code, message: `${pair.name}: ${message}`, ...(fix === undefined ? {} : { fix }) });
  const key = pair.columns.slice(0, pair.keyWidth);
  if (key.length === 0) {
    add(
      writes ? 'error' : 'warning',
      'no_key',
      'no primary or unique NOT NULL key in common: rows are compared as a multiset and cannot be planned',
      'Name a key: `key: [column]`, or add a primary key.',
    );
    if (writes) found[found.length - 1] = { ...found.at(-1)!, exit: 20 };
  } else add('ok', 'key', `key ${key.map((c) => c.source.name).join(', ')}, ${count(pair.columns.length, 'column')}`);
  found.push(...examineIndexes(about, pair, endpoints));
  for (const column of writes ? pair.columns : []) {
    if (!holdsLess(column.target, column.as)) continue;
    add(
      'warning',
      'narrower',
      `${column.source.name} ${column.source.native} into ${column.target.name} ${column.target.native}: values that do not fit are rejected, never rounded`,
      'Widen the target column, or leave it out.',
    );
  }
  for (const n of pair.notCompared)
    found.push({
      about,
      level: 'warning',
      code: 'not_compared',
      message: `${n.what}: ${n.reason}`,
      ...(n.fix === undefined ? {} : { fix: n.fix }),
    });
  for (const w of pair.warnings) if (key.length > 0) add('advice', 'warning', w);
  return found;
};

/** How a pair's conflicts are settled, and whether its tables are such that they can be. */
const examineConflicts = (about: string, pair: Pair, job: Job): readonly Diagnosis[] => {
  const sync = job.sync === null ? undefined : job.config?.syncs[job.sync];
  if (sync?.conflicts === undefined) return [];
  try {
    const policy = describedPolicy(pair, policyOf(sync)(pair), { bothWays: sync.mode === 'two_way' });
    return [ok(about, 'conflicts', `${pair.name}: conflicts are settled by ${policy}`)];
  } catch (error) {
    return [diagnosisOf(about, error)];
  }
};

/** Connects one side. */
export type OpenSide = (side: Side, signal: AbortSignal) => Promise<Endpoint>;

/** Both sides of a job, and its pairs. What cannot be reached is one error each, and the rest goes on. */
export const examineJob = async (
  open: OpenSide,
  job: Job,
  signal: AbortSignal,
  config?: Config,
): Promise<readonly Diagnosis[]> => {
  const about = job.sync ?? 'pairs';
  const connected = await Promise.all([job.source, job.target].map((side) => reach(open, side, signal)));
  await using stack = new AsyncDisposableStack();
  const found: Diagnosis[] = [];
  for (const c of connected) if ('endpoint' in c) stack.use(c.endpoint);
  for (const c of connected) if ('failure' in c) found.push(c.failure);
  const [source, target] = connected;
  if (!source || !target || !('endpoint' in source) || !('endpoint' in target)) {
    for (const c of connected) if ('endpoint' in c) found.push(ok(c.endpoint.name, 'connected', c.endpoint.version));
    return found;
  }
  let aligned: Awaited<ReturnType<typeof alignAll>>;
  try {
    aligned = await alignAll({
      source: source.endpoint,
      target: target.endpoint,
      ...scopeOf(job),
      signal,
    });
  } catch (error) {
    const both = [source.endpoint, target.endpoint] as const;
    return [...found, ...(await examineUnmade(job, both, error, signal, config))];
  }
  const { pairs, notCompared } = aligned;
  found.push(
    ...(await examineEndpoint(
      source.endpoint,
      pairs.map((p) => p.transform?.raw ?? p.source),
      job.source.writable,
      signal,
      config,
    )),
  );
  found.push(
    ...(await examineEndpoint(
      target.endpoint,
      pairs.map((p) => p.target),
      job.target.writable,
      signal,
      config,
    )),
  );
  const sides = { source: source.endpoint, target: target.endpoint };
  for (const pair of pairs)
    found.push(...examinePair(about, pair, sides, job.target.writable && job.mode !== 'compare'));
  for (const pair of pairs) found.push(...examineConflicts(about, pair, job));
  if (job.incremental !== undefined) {
    const { rule } = job.incremental;
    for (const pair of pairs) found.push(...(await examineIncremental(about, pair, rule, sides, signal)));
  }
  for (const n of notCompared)
    found.push({
      about,
      level: 'warning',
      code: 'not_compared',
      message: `${n.what}: ${n.reason}`,
      ...(n.fix === undefined ? {} : { fix: n.fix }),
    });
  return found;
};

/** No pairs could be made. A migration's first run makes the tables that are missing: that is no mistake. */
const examineUnmade = async (
  job: Job,
  [source, target]: readonly [Endpoint, Endpoint],
  error: unknown,
  signal: AbortSignal,
  config?: Config,
): Promise<readonly Diagnosis[]> => {
  const about = job.sync ?? 'pairs';
  const { code, side, message } = diagnosable(error);
  if (job.mode !== 'migrate' || code !== 'TABLE_NOT_FOUND' || side !== target.name) return [diagnosisOf(about, error)];
  return [
    ...(await examineEndpoint(source, [], job.source.writable, signal, config)),
    ...(await examineEndpoint(target, [], job.target.writable, signal, config)),
    {
      about,
      level: 'advice',
      code: 'not_made_yet',
      message: `${message}: the first run of a migration makes it`,
      fix: `lockstep assess ${about} says what that would meet; then: lockstep sync ${about}`,
    },
  ];
};

const reach = async (
  open: OpenSide,
  side: Side,
  signal: AbortSignal,
): Promise<{ readonly endpoint: Endpoint } | { readonly failure: Diagnosis }> => {
  try {
    return { endpoint: await open(side, signal) };
  } catch (error) {
    return { failure: diagnosisOf(side.name, error) };
  }
};
