import type { Cancel } from './cancel.ts';

/** A request to write records that must have one effect however often it is sent, by its key. */
export interface RecordRequest {
  /** Who asks: keys of others are others. */
  readonly actor: string;
  readonly key: string;
  /** Of what is asked, hexadecimal: the same key with anything else is a mistake. */
  readonly hash: string;
  /** What it will be known by, where that is known before: `records/transactions/17`. */
  readonly record: string | null;
}

export type Claim =
  | { readonly state: 'new' }
  | { readonly state: 'done'; readonly answer: string }
  /** Another request with this key has begun and not ended, or its process died. */
  | { readonly state: 'begun'; readonly agoMs: number; readonly record: string | null }
  | { readonly state: 'mismatch' };

/** Answers are texts of whoever asks. Requests that were answered are remembered for seven days at least. */
export interface RecordRequests {
  claim(request: RecordRequest, o: Cancel): Promise<Claim>;
  /** Takes over a request that has begun at least so long ago; false when another one has. */
  takeOver(request: RecordRequest, olderThanMs: number, o: Cancel): Promise<boolean>;
  settle(request: RecordRequest, answer: string, o: Cancel): Promise<void>;
  /** It had no effect: the key may be used again. */
  forget(request: RecordRequest, o: Cancel): Promise<void>;
}
