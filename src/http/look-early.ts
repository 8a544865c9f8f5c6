import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from '../access/scopes.ts';

/** An answer 200 that is ready to be sent. */
export interface Ready {
  /** Names and values in turns, without the length. */
  readonly headers: readonly string[];
  /** JSON. */
  readonly body: Buffer | string;
}

/** What a question came with, as Node has read it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** A GET that the app has not seen. */
export interface QuestionEarly {
  readonly url: string;
  /** Who asks, and has shown it. */
  readonly principal: Principal;
  /** Undefined: answers that are kept may be looked for, and nothing is to be read. */
  readonly exchange: Exchange | undefined;
}

/** Who may have answers before the app has looked at a request. */
export interface LookEarly {
  /** Are any kept? */
  readonly keeps: boolean;
  /**
   * Looks whether the answer to a question is ready, or can be made at once. False: it cannot be. Else `tell` is called
   * once, later, with the route of the request; without an answer: it is not. It does not throw.
   */
  look(question: QuestionEarly, tell: (route: string, ready: Ready | undefined) => void): boolean;
}
