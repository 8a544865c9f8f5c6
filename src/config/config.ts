import type { Concealment } from '../model/canon/concealed.ts';
import type { IncrementalRule } from '../model/incremental.ts';
import type { Measure } from '../model/monitoring.ts';
import type { Tolerance } from '../model/pair.ts';
import type { ConflictPolicy } from '../model/policy.ts';
import type { ColumnType } from '../model/schema.ts';
import type { TraceSettings } from '../model/traces.ts';
import type { TransformSettings } from '../model/transform.ts';
import type { AlertSettings, LogSettings, Slo } from './alerts.ts';
import type { ApprovalSettings } from './approvals.ts';
import type { BackupSettings } from './backups.ts';
import type { CacheSettings } from './cache.ts';
import type { SyncConflicts } from './conflict.ts';
import type { ShownDifferences } from './differences.ts';
import type { Mode } from './modes.ts';
import type { RecordEntity } from './records.ts';
import type { BreakerRule } from './resilience.ts';
import type { Retention } from './retention.ts';
import type { ScheduleRule } from './schedule.ts';
import type { AuditSettings, ServerSettings } from './server.ts';
import type { StoredSettings } from './stored.ts';

/** The configuration as the program uses it: defaults filled in, durations in milliseconds, shares from 0 to 1. */
export interface Config {
  /** As messages name it, e.g. `lockstep.yaml`. */
  readonly file: string;
  /** Absolute folder of the file: relative paths start here, and `./.lockstep` lives here. */
  readonly dir: string;
  readonly endpoints: Readonly<Record<string, EndpointEntry>>;
  readonly syncs: Readonly<Record<string, Sync>>;
  /** Tables that the API serves as records, by name. */
  readonly records: Readonly<Record<string, RecordEntity>>;
  readonly log: LogSettings;
  /** May anybody read the metrics? Resolves references when called. */
  publicMetrics(): boolean;
  /** Business metrics. */
  readonly measures: readonly Measure[];
  readonly alerts: AlertSettings;
  /** Undefined: none are made. */
  readonly backups: BackupSettings | undefined;
  /** How long runs are remembered. Resolves references when called. */
  retention(): Retention;
  /** Where answers of records are kept, for the entities that say so. Resolves references when called. */
  cache(): CacheSettings;
  /** Where spans are sent; undefined: nothing is traced. Resolves references when called. */
  traces(): TraceSettings | undefined;
  /** How `lockstep serve` listens. Resolves references when called. */
  server(): ServerSettings;
  /** Keys of the audit log. Resolves references when called. */
  audit(): AuditSettings;
  /** Keys of stored values. Resolves references when called. */
  stored(): StoredSettings;
  /** Milliseconds. */
  checkpointEveryMs(): number;
  /** URL of the control store; undefined: the embedded one. Resolves references when called. */
  control(): string | undefined;
  /** Passwords written into the file instead of a reference, with their place; never the value. */
  readonly inlineSecrets: readonly { readonly path: string; readonly line: number | undefined }[];
}

/** An endpoint as configured. Its secrets are looked up only when `connection()` is called. */
export interface EndpointEntry {
  readonly name: string;
  readonly writable: boolean;
  /** A URL, or the parts of one with `engine`. Throws SECRET_MISSING. */
  connection(): string | Readonly<Record<string, unknown>>;
  /** References that its URL or password is made of, e.g. `${env:CRM_URL}`: to say where a wrong password came from. */
  readonly credentials: readonly string[];
  /** 1-based; undefined when the config is not YAML. */
  readonly line: number | undefined;
  readonly rowsPerSecond?: number;
  readonly statementTimeoutMs?: number;
  /** How often a connection, a read that can be repeated, or a write that met a deadlock or lost its connection is tried. */
  readonly retry?: Retry;
  readonly breaker: BreakerRule;
  /** Pieces of work at once; undefined: no limit of their number. */
  readonly concurrency?: number;
  /** URLs of copies that follow this server; secrets are looked up when called. Throws SECRET_MISSING. */
  replicas(): readonly string[];
}

export interface Guards {
  readonly maxChanges: number;
  /** 0..1; applies above 100 changes; null: no such limit. */
  readonly maxChangeRatio: number | null;
  readonly maxDeletes: number;
  readonly emptySource: 'stop' | 'keep';
}

/** What was set; what is absent has the default of whoever applies. */
export interface ApplySettings {
  readonly batchSize?: number;
  readonly batchDelayMs?: number;
  readonly concurrency?: number;
  readonly atomic?: 'batch' | 'run';
}

export interface Retry {
  readonly attempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

export interface Sync {
  readonly name: string;
  readonly source: string;
  readonly target: string;
  readonly mode: Mode;
  readonly settleMs: number;
  /** Undefined: all rows are compared each time. */
  readonly incremental?: IncrementalRule;
  /** Undefined: SQL shows no differences of it. */
  readonly differences: ShownDifferences | undefined;
  /** Undefined: nothing is promised. */
  readonly slo?: Slo;
  /** Undefined: no conflicts are known, rows of the target are overwritten. */
  readonly conflicts?: SyncConflicts;
  /** Undefined: nobody has to agree to its plans. */
  readonly approvals?: ApprovalSettings;
  /** Undefined: not started by itself. */
  readonly schedule?: ScheduleRule;
  /** The sync that it follows. */
  readonly after?: string;
  readonly guards: Guards;
  readonly apply: ApplySettings;
  /** Undefined: all tables of the default schemas. */
  readonly pairs: readonly PairEntry[] | undefined;
  /** A pilot: only this share of the keys of each pair, 0 < share <= 1. Undefined: all. */
  readonly sample?: number;
  readonly excludeTables: readonly string[];
  /** What a copy makes of columns, by `table.column` of the source. */
  readonly types: ReadonlyMap<string, ColumnType>;
  /** With pairs: are tables in none of them told as not compared? */
  readonly otherTables: 'report' | 'ignore';
  readonly line: number | undefined;
}

export interface PairEntry {
  readonly source: string;
  readonly target?: string;
  /** Source column and target column. */
  readonly key?: readonly (readonly [source: string, target: string])[];
  /** Source column -> target column, where the names differ. */
  readonly map: Readonly<Record<string, string>>;
  readonly only?: readonly string[];
  readonly exclude: readonly string[];
  readonly tolerances: Readonly<Record<string, Tolerance>>;
  readonly where?: { readonly source?: string; readonly target?: string };
  /** Share of the keys, in place of the sync's; 0 < share <= 1. */
  readonly sample?: number;
  /** Source columns whose values are neither shown nor kept in clear. */
  readonly concealed?: Readonly<Record<string, Concealment>>;
  /** What a copy makes of source columns. */
  readonly types?: Readonly<Record<string, ColumnType>>;
  /** What is done with source rows before they are compared. */
  readonly transform?: TransformSettings;
  /** How its conflicts are settled; undefined: none are known. */
  readonly conflict?: ConflictPolicy;
}

export const defaultGuards: Guards = { maxChanges: 500, maxChangeRatio: 0.01, maxDeletes: 0, emptySource: 'stop' };
export const defaultRetry: Retry = { attempts: 5, baseMs: 200, maxMs: 30_000 };
export const defaultSettleMs = 1000;
