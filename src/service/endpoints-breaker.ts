import type { BreakerRule } from '../config/resilience.ts';
import type { Clock } from '../lib/clock.ts';
import { LockstepError } from '../model/errors.ts';
import type { BreakerState } from './endpoints.ts';

/** What a failure says about the endpoint itself. */
export type Verdict =
  /** It cannot be reached, broke the connection or did not answer in time. */
  | 'down'
  /** It answered; that it refused is somebody's mistake, not its state. */
  | 'answered'
  /** Nothing: the work was stopped, or failed elsewhere. */
  | 'unknown';

const down: ReadonlySet<string> = new Set(['CONNECT', 'CONNECTION_LOST', 'STATEMENT_TIMEOUT']);
const silent: ReadonlySet<string> = new Set([
  ...['ABORTED', 'CONFIG', 'USAGE', 'SECRET_MISSING', 'INTERNAL', 'CIRCUIT_OPEN', 'PRIMARY_DOWN', 'STORE'],
]);

/** Only errors that an endpoint itself has thrown count: one that passes through from the other side names that side. */
export const verdictOn = (endpoint: string, error: unknown): Verdict => {
  if (!(error instanceof LockstepError) || error.side !== endpoint || silent.has(error.code)) return 'unknown';
  return down.has(error.code) ? 'down' : 'answered';
};

/** What a change of state is told with. */
export interface BreakerChange {
  readonly state: BreakerState;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly failures: number;
  readonly retryAt?: number;
  readonly error?: { readonly code: string; readonly message: string };
}

/**
 * Closed: everything passes, failures in a row are counted. Open: nothing passes until its time is over. Half-open: one
 * attempt passes, and decides; the others are refused meanwhile, they do not wait for it.
 */
export interface Breaker {
  readonly state: BreakerState;
  /** While not closed: when the next attempt may pass, milliseconds since 1970. */
  readonly retryAt: number | undefined;
  readonly failures: number;
  readonly lastError: { readonly at: number; readonly code: string; readonly message: string } | undefined;
  /** An attempt passes now. */
  readonly passable: boolean;
  /**
   * Does the work, or throws CIRCUIT_OPEN. `proves`: does it show that the endpoint is there? Otherwise what is heard
   * next decides, and an attempt that nothing is heard of is given up after the time of the rule.
   */
  attempt<T>(work: () => Promise<T>, proves?: (result: T) => boolean): Promise<T>;
  /** Tells what came of something that needed no leave: a statement of a connection that is there. */
  heard(error: unknown): void;
}

export const openBreaker = (o: {
  readonly endpoint: string;
  rule(): BreakerRule;
  readonly clock: Clock;
  changed(change: BreakerChange): void;
}): Breaker => {
  let state: BreakerState = 'closed';
  let failures = 0;
  let openedAt = 0;
  let last: Breaker['lastError'];
  /** Half-open, and the attempt has shown nothing yet: since then. */
  let pending: number | undefined;

  const retryAt = (): number | undefined => (state === 'closed' ? undefined : openedAt + o.rule().resetAfterMs);
  const become = (next: BreakerState): void => {
    state = next;
    pending = undefined;
    const at = o.clock.now();
    if (next === 'open') openedAt = at;
    if (next === 'closed') failures = 0;
    const again = retryAt();
    o.changed({
      state,
      at,
      failures,
      ...(next === 'open' && again !== undefined ? { retryAt: again } : {}),
      ...(next === 'open' && last !== undefined ? { error: { code: last.code, message: last.message } } : {}),
    });
  };
  const note = (error: unknown): void => {
    failures++;
    const { code, message } = error as LockstepError;
    last = { at: o.clock.now(), code, message };
  };
  const passable = (): boolean => {
    const now = o.clock.now();
    if (state === 'half_open') return pending !== undefined && now >= pending + o.rule().resetAfterMs;
    return state === 'closed' || now >= retryAt()!;
  };

  const refusal = (): LockstepError => {
    const at = Math.max(retryAt() ?? 0, o.clock.now() + 1000);
    const wait = Math.ceil((at - o.clock.now()) / 1000);
    const when =
      state === 'half_open'
        ? 'one attempt is being made now'
        : `tried again at ${new Date(at).toISOString()}, in ${wait} s`;
    return new LockstepError(
      'CIRCUIT_OPEN',
      `${o.endpoint}: circuit breaker is open after ${failures} failures in a row; ${when}`,
      {
        side: o.endpoint,
        retryAfterMs: at - o.clock.now(),
        hint: `See that ${o.endpoint} runs and can be reached. \`breaker\` of the endpoint says how many failures open it, and for how long.`,
        ...(last === undefined ? {} : { details: [`the last failure: ${last.message}`] }),
      },
    );
  };

  const heard = (error: unknown): void => {
    const verdict = error === undefined ? 'answered' : verdictOn(o.endpoint, error);
    if (pending !== undefined && verdict === 'answered') become('closed');
    else if (pending !== undefined && verdict === 'down') {
      note(error);
      become('open');
      return;
    }
    // a straggler decides nothing: the one attempt does
    if (state !== 'closed') return;
    if (verdict === 'answered') failures = 0;
    if (verdict !== 'down') return;
    note(error);
    if (failures >= o.rule().failures) become('open');
  };

  return {
    get state() {
      return state;
    },
    get retryAt() {
      return retryAt();
    },
    get failures() {
      return failures;
    },
    get lastError() {
      return last;
    },
    get passable() {
      return passable();
    },
    heard,
    attempt: async (work, proves = () => true) => {
      if (!passable()) throw refusal();
      if (state === 'closed') {
        try {
          const result = await work();
          if (proves(result)) heard(undefined);
          return result;
        } catch (error) {
          heard(error);
          throw error;
        }
      }
      become('half_open');
      try {
        const result = await work();
        if (proves(result)) become('closed');
        else pending = o.clock.now();
        return result;
      } catch (error) {
        const verdict = verdictOn(o.endpoint, error);
        if (verdict === 'answered') become('closed');
        else if (verdict === 'down') {
          note(error);
          become('open');
          // what was stopped says nothing: the next one may try at once
        } else state = 'open';
        throw error;
      }
    },
  };
};
