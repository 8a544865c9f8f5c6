import type { Cancel } from './cancel.ts';
import type { Change, ChangeOp } from './change.ts';
import type { Fingerprint } from './endpoint.ts';
import type { HashSpec } from './hash/spec.ts';
import type { JsonValue } from './json.ts';
import type { Batch, Key } from './row.ts';
import type { EndpointFacts } from './runs.ts';
import type { Table } from './schema.ts';

/** A table of a plan. Rows of its changes are native rows in the order of `nativeSelection(table, key)`. */
export interface PlanTable {
  /** Name of the pair it was compared as. */
  readonly pair: string;
  readonly table: Table;
  readonly key: readonly string[];
  /** Columns of the table whose values are not shown. */
  readonly concealed?: readonly string[];
}

export interface PlanItem {
  /** 1, 2, 3, … in the order of application. */
  readonly seq: number;
  /** Items of one group may share a transaction; groups are applied in order. */
  readonly group: number;
  /** Index into `PlanHeader.tables`. */
  readonly table: number;
  readonly change: Change;
}

/** What is known when a plan is begun. */
export interface NewPlan {
  readonly id: string;
  /** The run that made it. */
  readonly run: string | null;
  readonly sync: string | null;
  readonly mode: string;
  readonly source: EndpointFacts;
  readonly target: EndpointFacts;
  /** The database it was made for; apply refuses another one. */
  readonly fingerprint: Fingerprint;
  readonly tables: readonly PlanTable[];
  /** As configured: batch size, atomicity, tolerances, filters, … */
  readonly settings: JsonValue;
  readonly guards: JsonValue;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly expires: number;
  /** The run this plan undoes. */
  readonly reverts?: string;
  /** Decided by what both sides had agreed on: applied only as that is brought up to date, with the plan of the other side. */
  readonly archive?: true;
  /** What the hashes of its changes are made with: the seed as a decimal. Absent: they have none. */
  readonly hash?: { readonly seed: string; readonly form: HashSpec['form'] };
}

/** The reviewed facts of a sealed plan; with the items they make its hash. */
export interface PlanHeader extends NewPlan {
  readonly counts: Readonly<Record<ChangeOp, number>>;
  /** What is told with the plan: withheld, rows that do not fit, warnings, row counts, … */
  readonly summary: JsonValue;
}

export interface Plan {
  readonly header: PlanHeader;
  /** SHA-256 in hex over the canonical bytes of every item in order and the header. */
  readonly hash: string;
  /** The apply run that has claimed it; null: not used yet. */
  readonly usedBy: string | null;
  readonly usedAt: number | null;
}

/** Streams a plan in. Disposing it before `seal` discards the plan. Calls must not overlap. */
export interface PlanWriter extends AsyncDisposable {
  /** Items in the order of application; resolves when there is room for more. Numbers follow from 1. */
  add(items: Batch<Omit<PlanItem, 'seq'>>, o: Cancel): Promise<void>;
  /** Makes it durable, immutable and visible. Facts known only at the end may replace those given at the start. */
  seal(
    o: Cancel & {
      readonly summary?: JsonValue;
      /** The summary without any value of a row, where values are encrypted: plans are found by what stands in clear. */
      readonly unquoted?: JsonValue;
      readonly settings?: JsonValue;
      readonly guards?: JsonValue;
    },
  ): Promise<Plan>;
}

/** Sealed plans. A plan that is not sealed does not exist for anybody. */
export interface Plans {
  create(plan: NewPlan, o: Cancel): Promise<PlanWriter>;
  /** By full id, or by the beginning of one when only one plan has it; undefined when there is none. */
  get(id: string, o: Cancel): Promise<Plan | undefined>;
  /** Newest first. */
  list(
    filter: {
      readonly sync?: string;
      /** Any of these. */
      readonly syncs?: readonly string[];
      readonly before?: string;
      readonly limit?: number;
    },
    o: Cancel,
  ): Promise<readonly Plan[]>;
  /** In order, flat in memory. `after`: seq to go on from, `only`: inclusive ranges of seq, ascending. */
  items(
    id: string,
    o: Cancel & { readonly after?: number; readonly only?: readonly SeqRange[] },
  ): AsyncIterable<Batch<PlanItem>>;
  /** The items of some keys, in order. One call for thousands of keys costs little more than one for a single key. */
  find(id: string, pair: string, keys: readonly Key[], o: Cancel): Promise<readonly PlanItem[]>;
  /** Reads the whole plan and throws PLAN_EDITED unless its hash is the recorded one. */
  verify(id: string, o: Cancel): Promise<void>;
  /** Marks it as used by this run. PLAN_USED when another run has it; again by the same run is fine. */
  claim(id: string, run: string, at: number, o: Cancel): Promise<void>;
  /** Gives a claim back: only when this run has written nothing. */
  release(id: string, run: string, o: Cancel): Promise<void>;
  /** JSONL: the header, the items, the hash. Byte for byte the same each time, where the store does not encrypt. */
  export(id: string, o: Cancel): AsyncIterable<Uint8Array>;
  /** Takes in an exported plan, from any store. PLAN_EDITED when a byte of it was changed; the same plan twice is one. */
  import(file: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, o: Cancel): Promise<Plan>;
}

/** Inclusive at both ends. */
export type SeqRange = readonly [first: number, last: number];
