import { hostname } from 'node:os';
import type { Clock } from '../../lib/clock.ts';
import { LockstepError } from '../../model/errors.ts';
import type { StepMark, WriterLock } from '../../model/writer.ts';

/** Who asks for the lock of a target. */
export interface Holder {
  readonly name: string;
  readonly run: string;
  readonly holder: string;
}

export type Taken =
  | { readonly taken: true; readonly token: bigint }
  | {
      readonly taken: false;
      readonly run: string;
      readonly holder: string;
      readonly since: string;
      readonly expiresInMs: number;
    };

/** Milliseconds after its last sign of life that a lock is free. */
export const lockTtlMs = 30_000;
const beatMs = 5_000;

/** This process, for people. */
export const thisProcess = (): string => `${hostname()}, process ${process.pid}`;

type Other = Omit<Taken & { readonly taken: false }, 'taken'>;

/** Where the lock is the server's own and keeps no record. */
export const unknownHolder: Other = {
  run: '(unknown)',
  holder: 'another session',
  since: 'an unknown time UTC',
  expiresInMs: 0,
};

/** Somebody else has the lock. `since` says by which clock. */
export const lockHeld = (side: string, name: string, other: Other): LockstepError =>
  new LockstepError(
    'LOCK_HELD',
    `${side}: ${name} is being written by run ${other.run} (${other.holder}, since ${other.since})`,
    {
      side,
      hint: `Wait for it, or stop it; a run that died without a word frees the lock within ${Math.ceil(other.expiresInMs / 1000)} s.`,
    },
  );

/** A later holder of the lock has been at work. */
export const fenced = (side: string, mark: StepMark): LockstepError =>
  new LockstepError(
    'FENCED',
    `${side}: another run has taken the lock since this one had it (token ${mark.token}); its step ${mark.step} was not written`,
    {
      side,
      hint: 'This run was taken for dead. Look at the other one; what this one still had to do shows in a new comparison.',
    },
  );

/** What a failed commit comes to: a connection that broke meanwhile says nothing about whether it happened. */
export const commitFailure = (
  side: string,
  mark: StepMark,
  explained: LockstepError,
  broken: boolean,
  cause: unknown,
): LockstepError => {
  if (explained.code !== 'CONNECTION_LOST' && !(explained.code === 'ABORTED' && broken)) return explained;
  return new LockstepError(
    'CONNECTION_LOST',
    `${side}: the connection broke while step ${mark.step} of ${mark.run} was committed; whether it was is not known yet`,
    { side, hint: 'The marker in the target tells; resuming the run looks it up first.', cause },
  );
};

/**
 * A lock that is kept by signs of life until it is disposed of, and then given back. A beat that fails is made up for
 * by the next, and by the fencing token.
 */
export const beatingLock = (
  token: bigint,
  o: {
    readonly session: { readonly broken: boolean };
    readonly clock: Clock;
    beat(): Promise<unknown>;
    free(): Promise<unknown>;
    release(): Promise<void>;
  },
): WriterLock => {
  const ended = new AbortController();
  const keep = async (): Promise<void> => {
    for (;;) {
      const woken = await o.clock.sleep(beatMs, ended.signal).then(
        () => true,
        () => false,
      );
      if (!woken || o.session.broken) return;
      await o.beat().catch(() => {});
    }
  };
  const beating = keep();
  return {
    token,
    [Symbol.asyncDispose]: async () => {
      if (ended.signal.aborted) return;
      ended.abort();
      await beating;
      if (!o.session.broken) await o.free().catch(() => {});
      await o.release();
    },
  };
};
