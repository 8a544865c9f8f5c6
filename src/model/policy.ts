import type { Literal } from './transform.ts';

export type Side = 'source' | 'target';

/** What a policy can be declared for: `unique`, `foreign_key`, `moved` and `flapping` always wait for a person. */
export const policyTypes = ['insert_insert', 'update_update', 'update_delete', 'delete_update'] as const;
export type PolicyType = (typeof policyTypes)[number];

/** A row for a function of the configuration, by source column: integers are bigint, decimals text, flags boolean. */
export type PolicyValues = Readonly<Record<string, string | bigint | number | boolean | null>>;

/** What a function of the configuration is asked. */
export interface PolicyCase {
  readonly pair: string;
  readonly type: PolicyType;
  readonly key: PolicyValues;
  /** Source names of the columns that are to be decided; of a row that one side deleted: none. */
  readonly columns: readonly string[];
  /** What both sides agreed on last, as the source showed it; a column whose value is not kept is left out. Null: never. */
  readonly base: PolicyValues | null;
  /** Null: the row is gone, or never was. */
  readonly source: PolicyValues | null;
  readonly target: PolicyValues | null;
}

/**
 * Pure: the same case, the same answer. Undefined: no opinion, the next policy is asked. `row`: these values, by source
 * column (at least those in `columns`; the others are merged as without a conflict); null: the row goes.
 */
export type PolicyFunction = (
  c: PolicyCase,
) => Side | 'ask' | undefined | { readonly row: Readonly<Record<string, unknown>> | null };

/** Says of one column (source name) which value counts. `where`: its place in the configuration, for reasons. */
export type PolicyRule = {
  readonly column: string;
  readonly where: string;
} /** Earlier values beat later ones; of two values that are not both listed it says nothing. */ & (
  | { readonly kind: 'prefer'; readonly values: readonly Literal[] }
  /** `sum`: the agreed value and what both sides added to it, exactly. */
  | { readonly kind: 'take'; readonly take: 'max' | 'min' | 'sum' }
  /** A value from which the other one can be reached, in any number of steps, and which cannot be reached from it, loses. */
  | { readonly kind: 'transitions'; readonly transitions: ReadonlyMap<string, readonly string[]> }
);

/** One policy. It names a side, gives values, sends to a person, or has no opinion: then the next one is asked. */
export type PolicyStep = { readonly where: string } & (
  | { readonly kind: 'manual' }
  | { readonly kind: 'prefer'; readonly side: Side }
  | {
      readonly kind: 'last_write_wins';
      /** Names of a source column and of a target column; `target` absent: the partner of the source column. */
      readonly newest: { readonly source: string; readonly target?: string };
      /** Milliseconds by which the clocks of both sides may differ: times as near as that do not say who was later. */
      readonly skewMs: number;
      /** Of equal times, and of times that cannot be told apart. Absent: the target of equal ones, else no opinion. */
      readonly ties?: Side | 'manual';
    }
  | { readonly kind: 'rules'; readonly rules: readonly PolicyRule[] }
  /** Only of rows that both sides inserted: the target's goes on under a new key. */
  | { readonly kind: 'keep_both'; readonly newKey: NewKey }
  | { readonly kind: 'function'; readonly decide: PolicyFunction }
);

/** How a new key is made of the old one: always the same for the same row. A uuid needs nothing said. */
export interface NewKey {
  /** Source column of the key that changes; absent: its first. */
  readonly column?: string;
  /** What is added to an integer, decimal digits. */
  readonly add?: string;
  /** What is put behind a text. */
  readonly append?: string;
}

/** What is said of one column (source name) alone, before the pair's policy is asked. */
export type ColumnPolicy = {
  readonly where: string;
} /** Edits of the other side are overwritten, and recorded as ruled. */ & (
  | { readonly owner: Side }
  | { readonly steps: readonly PolicyStep[] }
);

/** How the conflicts of one pair are settled. */
export interface ConflictPolicy {
  /** Asked in this order; what none of them settles waits for a person. Of deleted rows only functions are asked. */
  readonly steps: readonly PolicyStep[];
  /** In place of `steps`, by type. */
  readonly on: Readonly<Partial<Record<PolicyType, readonly PolicyStep[]>>>;
  readonly columns: Readonly<Record<string, ColumnPolicy>>;
  /** What a rule that prefers one side's value decides: all disputed columns of the row, or its own column. */
  readonly scope: 'row' | 'column';
  /** Rows are one thing: nothing is merged, one side's row counts as a whole. */
  readonly atomic: boolean;
  /** Where it stands in the configuration, for reasons. */
  readonly where: string;
}

/** Every conflict waits for a person. */
export const manualPolicy = (where: string): ConflictPolicy => ({
  steps: [],
  on: {},
  columns: {},
  scope: 'row',
  atomic: false,
  where,
});
