import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { makeToken, type TokenWish } from '../../src/access/make-token.ts';
import { loadConfig } from '../../src/config/load.ts';
import { engineNames, engineOfUrl, loadEngine } from '../../src/engines/registry.ts';
import type { Api } from '../../src/http/api.ts';
import { prepareAccess } from '../../src/http/prepare-access.ts';
import { allRoutes } from '../../src/http/routes.ts';
import { startHttp } from '../../src/http/server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { redactor } from '../../src/lib/redact.ts';
import { connectSide } from '../../src/service/connect.ts';
import { checkedDesk } from '../../src/service/desk.ts';
import { openEndpoints } from '../../src/service/endpoints-open.ts';
import { startWorker } from '../../src/service/worker.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { openFailures } from '../../src/telemetry/failures.ts';
import { openLog } from '../../src/telemetry/log.ts';
import { openTimings } from '../../src/telemetry/timings.ts';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';
import { testAuditKeys } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
  readonly body: any;
}
export interface Question extends Omit<RequestInit, 'body' | 'headers'> {
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly body?: string;
}

/** Two databases with a table of items each: one row agrees, one differs, one is on each side alone. */
const items = (state: string, extra: string) => `
  create table items (id bigint primary key, name text, price numeric(10,2), status text check (status <> 'forbidden'));
  insert into items values (1, 'same', 1.00, 'active'), (2, 'two', 2.50, '${state}'), ${extra};`;

/** A server with a worker, a store and two databases; everything of it is closed when the file is done. */
export const served = async (more: { readonly worker?: boolean; readonly config?: (text: string) => string } = {}) => {
  const [control, source, target] = await Promise.all([storeDatabase(), testDatabase(), testDatabase()]);
  await source.query(items('active', `(3, '=1+1', 3.00, 'active'), (4, 'zoë "x"', null, 'active')`));
  await target.query(items('inactive', `(9, 'gone', 9.00, 'active')`));
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-http-'));
  writeFileSync(
    join(dir, 'lockstep.yaml'),
    (more.config ?? ((text) => text))(`version: 1
endpoints:
  left: { url: "\${env:LEFT}" }
  right: { url: "\${env:RIGHT}", writable: true }
records:
  things: { endpoint: right, table: public.items, key: id }
syncs:
  items: { source: left, target: right, mode: mirror, settle: 0s, differences: { sql: true },
    guards: { max_changes: 500, max_change_ratio: 100%, max_deletes: 5 }, apply: { batch_size: 700 },
    pairs: [ { source: public.items, key: [id] } ] }
  look: { source: left, target: right, mode: compare, settle: 0s, pairs: [ { source: public.items, key: [id] } ] }
  strict: { source: left, target: right, mode: mirror, settle: 0s, pairs: [
    { source: public.items, key: [id], validate: { price: { not_null: true } } } ] }
`),
  );
  const secrets = redactor();
  const config = await loadConfig(join(dir, 'lockstep.yaml'), {
    cwd: dir,
    env: { LEFT: source.url, RIGHT: target.url },
    onSecret: (secret) => secrets.add(secret),
  });
  const store = await openPostgresStore(urlConnector(control.url), { ...o, auditKeys: testAuditKeys });
  const lines: string[] = [];
  const log = openLog({ level: 'info', write: (line) => void lines.push(line), clock: systemClock, redactor: secrets });
  const doors = { engines: { names: engineNames, ofUrl: engineOfUrl, load: loadEngine }, redactor: secrets };
  const endpoints = openEndpoints({
    config: () => config,
    connect: (side, signal) => connectSide(doors, side, signal),
    clock: systemClock,
    random: Math.random,
  });
  const abort = new AbortController();
  /** What the API has read of the store. */
  const count = { events: 0 };
  const timings = openTimings(systemClock);
  const api: Api = {
    version: '0.1.0',
    store,
    desk: checkedDesk(store.desk, store, () => config),
    endpoints,
    events: {
      ...store.events,
      after: async (...question) => {
        const found = await store.events.after(...question);
        count.events += found.length;
        return found;
      },
    },
    config: () => config,
    timings,
    failures: openFailures(),
    clock: systemClock,
    redactor: secrets,
    signal: abort.signal,
  };
  const access = await prepareAccess({ ...api, port: 0 });
  const server = await startHttp(api, { ...access, routes: allRoutes, log, timings });
  const worker =
    more.worker === false
      ? undefined
      : startWorker({
          store,
          world: () => ({ config, endpoints, doors, clock: systemClock, random: Math.random, version: '0.1.0' }),
          log,
          clock: systemClock,
          name: 'worker of a test',
          concurrency: 2,
        });
  after(async () => {
    await server.close();
    await worker?.stop(1000);
    abort.abort();
    await endpoints[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    for (const database of [control, source, target]) await database[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true });
  });
  const token = async (name: string, wish: Omit<TokenWish, 'name'>): Promise<string> =>
    (await makeToken(store.tokens, { name, ...wish }, { actor: 'me@laptop' }, systemClock, o)).secret;
  const admin = await token('boss', { role: 'admin' });
  const ask = async (method: string, path: string, q: Question = {}): Promise<Reply> => {
    const { token: bearer = admin, headers, json, body, ...rest } = q;
    const reply = await fetch(`${server.url}${path}`, {
      ...rest,
      method,
      headers: {
        ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(json === undefined ? (body === undefined ? {} : { body }) : { body: JSON.stringify(json) }),
    });
    const text = await reply.text();
    const isJson = /\/(problem\+)?json\b/.test(reply.headers.get('content-type') ?? '') && text !== '';
    return { status: reply.status, headers: reply.headers, text, body: isJson ? JSON.parse(text) : undefined };
  };
  /** The run once it has ended, told by the events. */
  const ended = async (id: string): Promise<Reply['body']> => {
    const patience = AbortSignal.timeout(60_000);
    for await (const _ of store.events.arrivals({ signal: patience })) {
      const run = await ask('GET', `/api/v1/runs/${id}`);
      if (run.body.finished !== null) return run.body;
    }
    throw new Error(`run ${id} did not end`);
  };
  /** Starts a run and waits for its end. */
  const run = async (json: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply['body']> => {
    const started = await ask('POST', '/api/v1/runs', { json, headers });
    if (started.status !== 202) throw new Error(started.text);
    return ended(started.body.id);
  };
  return {
    url: server.url,
    ask,
    token,
    admin,
    store,
    control,
    source,
    target,
    config,
    ended,
    run,
    lines,
    timings,
    dir,
    server,
    count,
  };
};
