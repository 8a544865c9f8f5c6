import { readFileSync } from 'node:fs';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { ServiceStore } from '../../model/service-store.ts';
import type { AuditKeys } from '../audit-chain.ts';
import type { StoredKeys } from '../stored-values.ts';
import { alertsOf } from './alerts.ts';
import { approvalsOf, sharedSecret } from './approvals.ts';
import { archivesOf } from './archives.ts';
import { auditOf } from './audit.ts';
import { type Attempts, claimsOf } from './claims.ts';
import { conflictsOf } from './conflicts.ts';
import type { Connector } from './connector.ts';
import { openDatabase } from './database.ts';
import { deskOf, enqueueWith, pausedSyncs } from './desk.ts';
import { differencesOf } from './differences.ts';
import { eventsOf, forgetEvents } from './events.ts';
import { anyToForget, forgetRuns } from './forget.ts';
import { generationsOf } from './generations.ts';
import { journalOf } from './journal.ts';
import { openListener } from './listen.ts';
import { listingsOf } from './listings.ts';
import { migrate } from './migrate.ts';
import { monitoringOf } from './monitoring.ts';
import { plansOf } from './plans.ts';
import { publishedOf } from './published.ts';
import { quarantineOf } from './quarantine.ts';
import { openQueue } from './queue.ts';
import { recordRequestsOf } from './record-requests.ts';
import { recoverWith } from './recover.ts';
import { runsOf } from './runs.ts';
import { schedulesOf } from './schedules.ts';
import { segmentsOf } from './segments.ts';
import { standingsOf } from './standings.ts';
import { failuresOf, statementsOf, storeState } from './statements.ts';
import { storedKeysOf } from './stored-keys.ts';
import { tokensOf } from './tokens.ts';
import { traceOf } from './trace.ts';
import { twoWayRunsOf } from './two-way-runs.ts';
import { vaultOf } from './vault.ts';
import { waitsOf } from './waits.ts';

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** What a store that was opened without a key does when one is needed. */
const noKey = (): never => {
  throw new LockstepError('INTERNAL', 'the control store was opened without a key for its audit log');
};

/** Nothing is encrypted. */
const noStoredKeys = (): StoredKeys => ({ current: undefined, previous: [] });

/** Requests to stop are found so often where they are not told. */
const stopPollMs = 500;

/** The control store behind `connector`, its schema brought to this version. `auditKeys` and `storedKeys` are asked when one is needed. */
export const openPostgresStore = async (
  connector: Connector,
  o: Cancel & { readonly clock?: Clock; readonly auditKeys?: () => AuditKeys; readonly storedKeys?: () => StoredKeys },
): Promise<ServiceStore> => {
  const storedKeys = o.storedKeys ?? noStoredKeys;
  const database = openDatabase(connector, undefined, vaultOf(connector, storedKeys));
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
    journal: journalOf(database, attempts),
    differences,
    published: publishedOf(database, differences),
    standings: standingsOf(database),
    quarantine: quarantineOf(database),
    twoWayRuns: twoWayRunsOf(database),
    conflicts: conflictsOf(database),
    archives: archivesOf(database, o.clock ?? systemClock),
    recordRequests: recordRequestsOf(database),
    monitoring: monitoringOf(database),
    alerts: alertsOf(database),
    listings: listingsOf(database),
    approvals: approvalsOf(database),
    waits: waitsOf(database),
    sharedSecret: (name, c) => sharedSecret(database, name, c),
    tokens: tokensOf(database),
    storedKeys: storedKeysOf(database, storedKeys),
    audit: auditOf(database, o.auditKeys ?? noKey, o.clock ?? systemClock),
    events: eventsOf(database, listener),
    generations: generationsOf(database),
    desk: deskOf(database, runs, queue, o.clock ?? systemClock),
    queue,
    claims: { ...claimsOf(database, runs, attempts), recover: recoverWith(database, runs, attempts, queue) },
    schedules: schedulesOf(database, queue, enqueueWith(queue)),
    segments: segmentsOf(database, attempts),
    statements: statementsOf(database),
    failures: failuresOf(database),
    state: storeState(database, () => (o.clock ?? systemClock).elapsed()),
    paused: (c) => pausedSyncs(database, c),
    stops: (c) => listener.arrivals('lockstep_stop', stopPollMs, c),
    tend: async (c) => {
      await forgetEvents(database, c);
      await queue.tend(c);
    },
    forget: (what, before, c) => forgetRuns(database, what, before, c),
    forgettable: (what, before, c) => anyToForget(database, what, before, c),
    trace: (pair, key, c) => traceOf(database, runs, pair, key, c),
    [Symbol.asyncDispose]: async () => {
      await queue[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
};
