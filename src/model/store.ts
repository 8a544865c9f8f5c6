import type { Alerts } from './alerts.ts';
import type { Waits } from './approval.ts';
import type { Archives } from './archive.ts';
import type { Audit } from './audit.ts';
import type { Cancel } from './cancel.ts';
import type { Conflicts } from './conflicts.ts';
import type { DifferencePair, Differences, StoredDifference } from './differences.ts';
import type { Standing } from './incremental.ts';
import type { Journal, Outcome, StepRecord } from './journal.ts';
import type { Approvals, Listings } from './listings.ts';
import type { Monitoring } from './monitoring.ts';
import type { Plan, PlanItem, Plans } from './plans.ts';
import type { PublishedDifferences } from './published.ts';
import type { Quarantine } from './quarantine.ts';
import type { RecordRequests } from './record-requests.ts';
import type { Key } from './row.ts';
import type { Run, Runs } from './runs.ts';
import type { StoredKeysPort } from './stored-keys.ts';
import type { Tokens } from './tokens.ts';
import type { TwoWayRuns } from './two-way-runs.ts';

/** Where a store is kept, and the ports to it. Disposing it leaves the store; an embedded server ends with its last user. */
export interface Store extends AsyncDisposable {
  /** For people, no secrets: `embedded, /home/me/shop/.lockstep` or `postgres://me@db:5432/ops`. */
  readonly description: string;
  readonly runs: Runs;
  readonly plans: Plans;
  readonly journal: Journal;
  readonly differences: Differences;
  readonly published: PublishedDifferences;
  readonly standings: Standings;
  readonly quarantine: Quarantine;
  readonly twoWayRuns: TwoWayRuns;
  readonly conflicts: Conflicts;
  readonly archives: Archives;
  readonly recordRequests: RecordRequests;
  readonly monitoring: Monitoring;
  readonly alerts: Alerts;
  readonly listings: Listings;
  readonly approvals: Approvals;
  /** Plans that are applied as soon as enough have agreed. */
  readonly waits: Waits;
  /** 32 random bytes under this name, made once: what one process of the store signs the others know. */
  sharedSecret(name: string, o: Cancel): Promise<Uint8Array>;
  readonly tokens: Tokens;
  readonly audit: Audit;
  readonly storedKeys: StoredKeysPort;
  /** Everything known of one key, newest first. `key` as canonical cells, as the pair or the target's native key renders it. */
  trace(pair: string, key: Key, o: Cancel): Promise<Trace>;
}

/** Where incremental comparison stands: one per sync, pair and settings. A standing replaces the one before it. */
export interface Standings {
  get(sync: string, pair: string, settings: string, o: Cancel): Promise<Standing | undefined>;
  /** All or none. */
  put(sync: string, standings: readonly (Standing & { readonly pair: string })[], o: Cancel): Promise<void>;
}

export interface Trace {
  readonly differences: readonly {
    readonly run: Run;
    readonly stored: StoredDifference;
    readonly pair: DifferencePair;
  }[];
  readonly planned: readonly { readonly plan: Plan; readonly item: PlanItem }[];
  /** `outcome` undefined: intended and not settled, or rolled back without a verdict on this item. */
  readonly written: readonly {
    readonly run: Run;
    readonly plan: Plan;
    readonly step: StepRecord;
    readonly item: PlanItem;
    readonly outcome: Outcome | undefined;
  }[];
}
