import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { makeToken } from '../../src/access/make-token.ts';
import { loadConfig } from '../../src/config/load.ts';
import { engineNames, engineOfUrl, loadEngine } from '../../src/engines/registry.ts';
import type { Api, Routes } from '../../src/http/api.ts';
import { openCache } from '../../src/http/open-cache.ts';
import { prepareAccess } from '../../src/http/prepare-access.ts';
import { records } from '../../src/http/routes/records.ts';
import { startHttp } from '../../src/http/server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { redactor } from '../../src/lib/redact.ts';
import { connectSide } from '../../src/service/connect.ts';
import { openEndpoints } from '../../src/service/endpoints-open.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { openFailures } from '../../src/telemetry/failures.ts';
import { openLog } from '../../src/telemetry/log.ts';
import { openTimings } from '../../src/telemetry/timings.ts';
import { testDatabase } from '../servers/postgres.ts';
import { testAuditKeys } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON was sent
  readonly json: any;
}

export type Ask = (
  method: string,
  path: string,
  o?: { body?: unknown; headers?: Record<string, string> },
) => Promise<Answer>;

/** The API with the records of a configuration, over a store of its own; ends with the file. */
export const recordsService = async (
  yaml: string,
  env: Readonly<Record<string, string>>,
  more: readonly Routes[] = [],
  /** Another instance over the same control store. */
  beside?: { readonly control: Awaited<ReturnType<typeof testDatabase>> },
) => {
  const database = beside?.control ?? (await testDatabase());
  const store = await openPostgresStore(urlConnector(database.url), { ...o, auditKeys: testAuditKeys });
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-records-'));
  const file = join(dir, 'lockstep.yaml');
  writeFileSync(file, yaml);
  let config = await loadConfig(file, { cwd: dir, env });
  const abort = new AbortController();
  const secrets = redactor();
  const doors = { engines: { names: engineNames, ofUrl: engineOfUrl, load: loadEngine }, redactor: secrets };
  const endpoints = openEndpoints({
    config: () => config,
    connect: (side, signal) => connectSide(doors, side, signal),
    clock: systemClock,
    random: Math.random,
  });
  /** What is said in the log of the cache. */
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  const cache = openCache({
    config: () => config,
    store,
    log: { debug: say, info: say, warn: say, error: say, child: () => assert.fail() },
    clock: systemClock,
    signal: abort.signal,
  });
  const api = {
    ...(cache === undefined ? {} : { cache }),
    version: '0',
    store,
    endpoints,
    events: store.events,
    config: () => config,
    timings: openTimings(systemClock),
    failures: openFailures(),
    clock: systemClock,
    redactor: secrets,
    signal: abort.signal,
  };
  const access = await prepareAccess(api);
  /** The log of the server. */
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const server = await startHttp(api as unknown as Api, {
    ...access,
    log: openLog({ level: 'info', write, clock: systemClock, redactor: secrets }),
    timings: api.timings,
    host: '127.0.0.1',
    port: 0,
    routes: [records, ...more],
  });
  after(async () => {
    abort.abort();
    await server.close();
    await cache?.[Symbol.asyncDispose]();
    await endpoints[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    if (beside === undefined) await database[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });
  const as =
    (bearer: string | undefined): Ask =>
    async (method, path, { body, headers = {} } = {}) => {
      const reply = await fetch(
        `${server.url}${path.startsWith('/api') || path === '/openapi.json' ? '' : '/api/v1'}${path}`,
        {
          method,
          headers: {
            ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
            ...(body === undefined
              ? {}
              : { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        },
      );
      const text = await reply.text();
      return { status: reply.status, headers: reply.headers, text, json: text === '' ? undefined : JSON.parse(text) };
    };
  const secret = async (name: string, wish: object): Promise<string> =>
    (await makeToken(store.tokens, { name, ...wish }, { actor: 'test' }, systemClock, o)).secret;
  /** Asks with a token of its own. */
  const token = async (name: string, wish: object): Promise<Ask> => as(await secret(name, wish));
  const reload = async (text: string): Promise<void> => {
    writeFileSync(file, text);
    config = await loadConfig(file, { cwd: dir, env });
  };
  const { url, close } = server;
  return { url, close, store, config, as, secret, token, control: database, endpoints, said, reload, lines, api };
};

/** Counts the requests that an app has seen: those that were answered early are not among them. */
export const seenRequests = (): { n: number; readonly routes: Routes } => {
  const seen = {
    n: 0,
    routes: ((app) => {
      app.addHook('onRequest', (_request, _reply, done) => {
        seen.n++;
        done();
      });
    }) as Routes,
  };
  return seen;
};

/** The line of a request in a log, without what differs each time. There is one of each. */
export const lineOf = async (lines: readonly string[], id: string): Promise<object> => {
  const mine = () => lines.map((line) => JSON.parse(line)).filter((line) => line.correlation === id);
  while (mine().length === 0) await setImmediate();
  const [line, ...more] = mine();
  assert.deepEqual(more, [], id);
  return { ...line, time: '', ms: typeof line.ms, correlation: '' };
};
