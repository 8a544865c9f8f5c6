import type { Config } from '../../src/config/config.ts';
import { parseConfigDocument } from '../../src/config/document.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { validateConfig } from '../../src/config/validate.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { redactor } from '../../src/lib/redact.ts';
import type { JsonValue } from '../../src/model/json.ts';
import type { RunKind } from '../../src/model/runs.ts';
import type { Store } from '../../src/model/store.ts';
import { openLog } from '../../src/telemetry/log.ts';
import { newRun, o } from '../store/plain.ts';

export const minute = 60_000;
export const hour = 60 * minute;
export const start = Date.UTC(2026, 10, 21, 12);

/** A clock that stands until it is moved. */
export const heldClock = (): Clock & { at: number } => ({
  at: start,
  now() {
    return this.at;
  },
  elapsed() {
    return this.at - start;
  },
  sleep: () => Promise.resolve(),
});

const base = (schedule: string): string => `version: 1
endpoints:
  vendor: { url: "sqlite:a.db" }
  crm: { url: "sqlite:b.db", writable: true }
syncs:
  licences: { source: vendor, target: crm, pairs: [licences, plans]${schedule === '' ? '' : `, ${schedule}`} }
  users: { source: vendor, target: crm, slo: { verified_within: 1h, agree: 90%, window: 20h } }
`;

/** `schedule`: of the sync `licences`. */
export const configOf = (text = '', env: Readonly<Record<string, string>> = {}, schedule = ''): Config => {
  const document = parseConfigDocument('lockstep.yaml', `${base(schedule)}${text}`);
  const around = { env, dotenv: { file: '.env', values: undefined }, baseDir: '/' };
  return resolveConfig(validateConfig(document), document, '/', around);
};

export const quietLog = () => {
  const lines: string[] = [];
  const log = openLog({
    level: 'debug',
    write: (line) => void lines.push(line),
    clock: { now: () => start },
    redactor: redactor(),
  });
  return { log, lines };
};

/** Pairs of a report, each with so many rows that differ, of a thousand. */
export const pairs = (found: Readonly<Record<string, number>>): JsonValue =>
  Object.entries(found).map(([source, different]) => ({
    source,
    target: source,
    rows: { source: 1000, target: 1000 },
    identical: 1000 - different,
    different,
    only_in_source: 0,
    only_in_target: 0,
    duplicate_key: 0,
    in_flight: 0,
    not_compared: [],
  }));

/** A run that ends now, as a worker leaves it. */
export const ended = async (
  store: Store,
  clock: { readonly at: number },
  sync: string | null,
  run: {
    readonly kind?: RunKind;
    readonly state?: 'done' | 'failed' | 'cancelled';
    readonly tookMs?: number;
    readonly report?: JsonValue;
  } = {},
): Promise<string> => {
  const state = run.state ?? 'done';
  const { id } = await store.runs.create(
    newRun({ kind: run.kind ?? 'sync', sync, started: clock.at - (run.tookMs ?? 1000) }),
    o,
  );
  const error = { code: 'CONNECT', message: 'crm: nothing listens at db:5432' } as const;
  await store.runs.finish(
    id,
    {
      state,
      exit: state === 'done' ? 0 : 21,
      finished: clock.at,
      ...(run.report === undefined ? {} : { report: run.report }),
      ...(state === 'failed' ? { error } : {}),
    },
    o,
  );
  return id;
};
