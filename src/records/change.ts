import type { Key } from '../model/row.ts';
import type { RowWrite } from '../model/rows.ts';
import type { Written } from './validate.ts';

export type Change =
  | { readonly op: 'create'; readonly body: unknown }
  /** `ifMatch`: the tags of If-Match. */
  | { readonly op: 'update'; readonly key: Key; readonly body: unknown; readonly ifMatch: readonly string[] }
  | { readonly op: 'delete'; readonly key: Key; readonly ifMatch: readonly string[] };

/** A record after it was written; of a deleted one its key alone. */
export interface Result {
  readonly op: Change['op'];
  readonly key: string;
  readonly json?: string;
  readonly etag?: string;
}

/** A change that has been checked as far as that can be done without the database. */
export interface Prepared {
  readonly op: Change['op'];
  readonly write: RowWrite;
  /** `records/transactions/17`; without the key of a record that the database gives one. */
  readonly object: string;
  readonly written: Written | undefined;
  /** Where its body stands in the request's. */
  readonly at: string;
}
