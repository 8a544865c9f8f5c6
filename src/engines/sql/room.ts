import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';

/** The connections of one endpoint: never more than the user allows. */
export interface Room<S> {
  /** Opens one. Refused when there is no room, unless one that is kept for later can go. */
  lend(o: Cancel): Promise<S>;
  /** The same, but while others of `turns` are at work, waits for one of them to come back. */
  lendInTurn(o: Cancel): Promise<S>;
  /** The same without a promise: one that is free is used at once, or as soon as it comes back. One of both is called, once. */
  useInTurn(o: Cancel, use: (session: S) => void, fail: (error: unknown) => void): void;
  release(session: S): Promise<void>;
  /** Keeps one that is not needed now; `lendInTurn` takes it first. */
  keep(session: S): Promise<void>;
  /** Holds one that was opened elsewhere, as if it had been lent. */
  adopt(session: S): void;
  /** One that is kept, if there is any: lent like one that was opened. */
  takeKept(): S | undefined;
  /** Closes one if it is still kept. */
  drop(session: S): Promise<void>;
  closeAll(): Promise<void>;
  /** How many are held now, in use or kept. */
  open(): number;
}

/** One scans, one reads again what differs, one reads the rows to be changed; later one locks and the others write. */
const writingNeeds = 3;

/** Throws CONFIG when an endpoint that is written is given fewer connections than that takes. */
export const refuseSmallPool = (name: string, max: number): void => {
  if (max >= writingNeeds) return;
  throw new LockstepError(
    'CONFIG',
    `${name}: \`pool: { max: ${max} }\` is too small for an endpoint that is written: planning and writing need ${writingNeeds} connections at a time`,
    { side: name, hint: `Allow ${writingNeeds} or more, or leave \`pool\` out.` },
  );
};

export const room = <S extends { readonly broken: boolean }>(x: {
  readonly name: string;
  /** Most connections at a time, at least 1. */
  readonly max: number;
  open(o: Cancel): Promise<S>;
  close(session: S): Promise<void>;
}): Room<S> => {
  const held = new Set<S>();
  const kept: S[] = [];
  const waiting: (() => void)[] = [];
  let opening = 0;
  let atWork = 0;
  const turns = new Set<S>();

  const release = async (session: S): Promise<void> => {
    if (turns.delete(session)) atWork--;
    await x.close(session);
    held.delete(session);
    waiting.shift()?.();
  };
  const full = (): boolean => held.size + opening >= x.max;
  const open = async (o: Cancel): Promise<S> => {
    opening++;
    try {
      const session = await x.open(o);
      held.add(session);
      return session;
    } finally {
      opening--;
    }
  };
  const lend = async (o: Cancel): Promise<S> => {
    while (full()) {
      const spare = kept.pop();
      if (spare === undefined) {
        throw new LockstepError(
          'CONFIG',
          `${x.name}: this needs more connections at a time than \`pool: { max: ${x.max} }\` allows`,
          { side: x.name, hint: `Allow ${x.max + 1} or more: \`pool: { max: ${x.max + 1} }\`.` },
        );
      }
      await release(spare);
    }
    return open(o);
  };
  const useInTurn: Room<S>['useInTurn'] = (o, use, fail) => {
    const { signal } = o;
    if (signal.aborted) return fail(signal.reason);
    const again = (): void => useInTurn(o, use, fail);
    const session = kept.pop();
    if (session?.broken) return void release(session).then(again, fail);
    if (session === undefined && full() && atWork > 0) {
      const woken = (): void => {
        signal.removeEventListener('abort', stopped);
        again();
      };
      const stopped = (): void => {
        waiting.splice(waiting.indexOf(woken), 1);
        fail(signal.reason);
      };
      waiting.push(woken);
      return signal.addEventListener('abort', stopped, { once: true });
    }
    atWork++;
    if (session !== undefined) {
      turns.add(session);
      return use(session);
    }
    lend(o).then(
      (mine) => {
        turns.add(mine);
        use(mine);
      },
      (error) => {
        atWork--;
        // who waits for this one would wait for ever
        waiting.shift()?.();
        fail(error);
      },
    );
    return undefined;
  };
  return {
    lend,
    lendInTurn: (o) => new Promise((resolve, reject) => useInTurn(o, resolve, reject)),
    useInTurn,
    release,
    keep: async (session) => {
      if (session.broken) return release(session);
      if (turns.delete(session)) atWork--;
      kept.push(session);
      waiting.shift()?.();
    },
    adopt: (session) => void held.add(session),
    takeKept: () => {
      for (let session = kept.pop(); session !== undefined; session = kept.pop()) {
        if (!session.broken) return session;
        void release(session);
      }
      return undefined;
    },
    drop: async (session) => {
      const at = kept.indexOf(session);
      if (at < 0) return;
      kept.splice(at, 1);
      await release(session);
    },
    open: () => held.size,
    closeAll: async () => {
      await Promise.all([...held].map(release));
    },
  };
};
