import type { Cancel } from './cancel.ts';

/** What an access token may do, without its secret: that is shown once and kept nowhere. */
export interface Token {
  readonly id: string;
  /** Unique among those that are not revoked; in records and the audit as `token:<name>`. */
  readonly name: string;
  /** A role's name, for people; what counts are the scopes. */
  readonly role: string | null;
  readonly scopes: readonly string[];
  /** Syncs and record entities that it is good for; null: all. A list that is absent holds none. */
  readonly only: { readonly syncs?: readonly string[]; readonly records?: readonly string[] } | null;
  /** For row filters: `tenant_id = ${principal.tenant}`. */
  readonly claims: Readonly<Record<string, string>>;
  readonly createdBy: string;
  /** Milliseconds since 1970, as all times here. */
  readonly created: number;
  readonly expires: number | null;
  /** To the minute. */
  readonly lastUsed: number | null;
  readonly revoked: number | null;
}

export interface NewToken extends Omit<Token, 'lastUsed' | 'revoked'> {
  /** Of the secret. */
  readonly hash: Uint8Array;
}

export interface Tokens {
  /** CONFLICT when a token of this name is there that is not revoked. */
  create(token: NewToken, o: Cancel): Promise<Token>;
  /** Creates it only in a store that never had a token: by one process, once. */
  createFirst(token: NewToken, o: Cancel): Promise<Token | undefined>;
  /** Also one that is expired or revoked: who asks judges. */
  byHash(hash: Uint8Array, o: Cancel): Promise<Token | undefined>;
  /** Newest first. */
  list(o: Cancel): Promise<readonly Token[]>;
  /** By id, or by the name of one that is not revoked. NOT_FOUND. One that is revoked already is given as it is. */
  revoke(idOrName: string, at: number, o: Cancel): Promise<Token>;
  /** Notes that it was used. Writes at most once a minute. */
  used(id: string, at: number, o: Cancel): Promise<void>;
}
