import { createHash } from 'node:crypto';
import type { Endpoint } from '../../model/endpoint.ts';
import type { IncrementalRule, Standing } from '../../model/incremental.ts';
import type { Pair } from '../../model/pair.ts';
import type { Table } from '../../model/schema.ts';

/** An incremental comparison of one pair, as it is asked for. */
export interface IncrementalRequest {
  readonly rule: IncrementalRule;
  /** What `settingsOf` says of it. */
  readonly settings: string;
  /** Where it can start from; absent: nowhere, all rows are compared. */
  readonly earlier?: Standing;
  /** Why all rows are to be compared although there is a place to start from. */
  readonly full?: string;
  /** Keys that are kept open (50,000), and changed keys that are looked up one by one (200,000); for tests. */
  readonly limits?: { readonly open: number; readonly changed: number };
  /** This run, and when it began (milliseconds since 1970). */
  readonly run: string;
  readonly at: number;
}

/** Facts of a table that do not change what is compared. */
const passing = ({ estimatedRows: _, indexes: __, triggers: ___, foreignKeys: ____, ...rest }: Table): unknown => rest;

/**
 * A hash of all that decides whether two rows agree, and of where they are: tables with their columns and types,
 * conditions, key, tolerances, what is done with source rows first, the two databases; and, where a rule is given, the
 * way changed rows are told.
 */
export const settingsOf = (
  pair: Pair,
  rule: IncrementalRule | undefined,
  endpoints: { readonly source: Endpoint; readonly target: Endpoint },
): string => {
  const { source, target, transform, warnings: _, ...rest } = pair;
  const text = JSON.stringify(
    {
      ...rest,
      source: passing(source),
      target: passing(target),
      ...(transform === undefined ? {} : { transform: transform.signature, raw: passing(transform.raw) }),
      by: rule?.by,
      sameColumn: rule?.sameColumn,
      at: [
        endpoints.source.engine,
        endpoints.source.fingerprint,
        endpoints.target.engine,
        endpoints.target.fingerprint,
      ],
    },
    // What a function does is in its text, as far as anybody can see.
    (_key, value: unknown) =>
      typeof value === 'function' ? String(value) : typeof value === 'bigint' ? `${value}n` : value,
  );
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
};

const day = 86_400_000;

/** Why it is time to compare all rows, or undefined. `now`: milliseconds since 1970. */
export const fullIsDue = ({ fullEvery }: IncrementalRule, earlier: Standing, now: number): string | undefined => {
  if ('runs' in fullEvery)
    return earlier.runs + 1 >= fullEvery.runs ? `every ${fullEvery.runs} comparisons, as configured` : undefined;
  const age = now - earlier.full.at;
  // A clock that was set back would put it off.
  if (age >= 0 && age < fullEvery.ms) return undefined;
  const since = age >= day ? `${Math.floor(age / day)} d` : `${Math.round(age / 60_000)} min`;
  return age < 0 ? 'the last one lies in the future by this clock' : `the last one is ${since} old`;
};
