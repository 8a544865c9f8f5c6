import type { IncomingMessage } from 'node:http';
import type { Principal } from '../access/scopes.ts';

/** A caller's place for one request. */
export interface Turn {
  /** What the answer says of it: names and values in turns. */
  readonly headers: readonly string[];
  /** The request is not to be counted here after all. */
  giveBack(): void;
}

/** What was settled about a request before the app saw it: it stays so, however long that took. */
export interface Begun {
  readonly principal: Principal;
  /** It is counted. */
  readonly turn: Turn;
  /** Milliseconds that went by before the app saw it. */
  readonly ms: number;
}

const begun = new WeakMap<IncomingMessage, Begun>();

export const beginEarly = (request: IncomingMessage, what: Begun): void => void begun.set(request, what);

/** Undefined: the app is the first to look at it. */
export const begunEarly = (request: IncomingMessage): Begun | undefined => begun.get(request);
