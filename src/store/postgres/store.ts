import { readFileSync } from 'node:fs';
import pg from 'pg';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { ServiceStore } from '../../model/service-store.ts';
import type { AuditKeys } from '../audit-chain.ts';
import { alertsOf } from './alerts.ts';
import { approvalsOf, sharedSecret } from './approvals.ts';
import { auditOf } from './audit.ts';
import { type Attempts, claimsOf } from './claims.ts';
import { type Connector, openDatabase } from './database.ts';
import { deskOf, enqueueWith, pausedSyncs } from './desk.ts';
import { differencesOf } from './differences.ts';
import { storeError } from './errors.ts';
import { eventsOf, forgetEvents } from './events.ts';
import { journalOf } from './journal.ts';
import { openListener } from './listen.ts';
import { listingsOf } from './listings.ts';
import { migrate } from './migrate.ts';
import { monitoringOf } from './monitoring.ts';
import { plansOf } from './plans.ts';
import { publishedOf } from './published.ts';
import { quarantineOf } from './quarantine.ts';
import { openQueue } from './queue.ts';
import { recoverWith } from './recover.ts';
import { recordRequestsOf } from './record-requests.ts';
import { runsOf } from './runs.ts';
import { schedulesOf } from './schedules.ts';
import { segmentsOf } from './segments.ts';
import { standingsOf } from './standings.ts';
import { tokensOf } from './tokens.ts';
import { traceOf } from './trace.ts';

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** What a store that was opened without a key does when one is needed. */
const noKey = (): never => {
  throw new LockstepError('INTERNAL', 'the control store was opened without a key for its audit log');
};

/** Requests to stop are found so often where they are not told. */
const stopPollMs = 500;

/** The control store behind `connector`, its schema brought to this version. `auditKeys` is asked when one is needed. */
export const openPostgresStore = async (
  connector: Connector,
  o: Cancel & { readonly clock?: Clock; readonly auditKeys?: () => AuditKeys },
): Promise<ServiceStore> => {
  const database = openDatabase(connector);
  try {
    await migrate(database, { ...o, version: version() });
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
  const attempts: Attempts = new Map();
  const runs = runsOf(database, attempts);
  const differences = differencesOf(database, attempts);
  const listener = openListener(connector);
  const queue = openQueue(database, listener);
  return {
    description: connector.description,
    runs,
    plans: plansOf(database),
    journal: journalOf(database),
    differences,
    published: publishedOf(database, differences),
    standings: standingsOf(database),
    quarantine: quarantineOf(database),
    recordRequests: recordRequestsOf(database),
    monitoring: monitoringOf(database),
    alerts: alertsOf(database),
    listings: listingsOf(database),
    approvals: approvalsOf(database),
    sharedSecret: (name, c) => sharedSecret(database, name, c),
    tokens: tokensOf(database),
    audit: auditOf(database, o.auditKeys ?? noKey, o.clock ?? systemClock),
    events: eventsOf(database, listener),
    desk: deskOf(database, runs, queue, o.clock ?? systemClock),
    queue,
    claims: { ...claimsOf(database, runs, attempts), recover: recoverWith(database, runs, attempts, queue) },
    schedules: schedulesOf(database, queue, enqueueWith(queue)),
    segments: segmentsOf(database),
    paused: (c) => pausedSyncs(database, c),
    stops: (c) => listener.arrivals('lockstep_stop', stopPollMs, c),
    tend: async (c) => {
      await forgetEvents(database, c);
      await queue.tend(c);
    },
    trace: (pair, key, c) => traceOf(database, runs, pair, key, c),
    [Symbol.asyncDispose]: async () => {
      await queue[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
};

const describeUrl = (text: string): string => {
  try {
    const url = new URL(text);
    return `${url.protocol}//${url.username ? `${url.username}@` : ''}${url.host}${url.pathname}`;
  } catch {
    return 'the given URL';
  }
};

/** Connects `client` unless aborted; errors in the user's words. */
export const connectClient = async (client: pg.Client, where: string, o: Cancel): Promise<pg.Client> => {
  client.on('error', () => {});
  // `end` would wait for a server that does not answer.
  const stop = (): void => {
    (
      client as unknown as { readonly connection: { readonly stream: { destroy(): void } } }
    ).connection.stream.destroy();
  };
  o.signal.throwIfAborted();
  o.signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    return client;
  } catch (cause) {
    client.end().catch(() => {});
    o.signal.throwIfAborted();
    throw storeError(cause, where);
  } finally {
    o.signal.removeEventListener('abort', stop);
  }
};

/** Connects to a PostgreSQL of the user's own. */
export const urlConnector = (url: string): Connector => {
  if (!/^postgres(ql)?:\/\//i.test(url)) {
    throw new LockstepError(
      'CONFIG',
      'the control store must be a PostgreSQL URL: postgres://user@host:5432/database',
      {
        hint: 'Leave it out to use the embedded one under ./.lockstep.',
      },
    );
  }
  const description = describeUrl(url);
  return {
    description,
    connect: async (o) => {
      let client: pg.Client;
      try {
        client = new pg.Client({
          connectionString: url,
          application_name: 'lockstep',
          connectionTimeoutMillis: 15_000,
          keepAlive: true,
        });
      } catch {
        throw new LockstepError('CONFIG', `the control store URL (${description}) cannot be read`);
      }
      return connectClient(client, description, o);
    },
  };
};
