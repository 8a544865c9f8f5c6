import type { Room } from '../sql/room.ts';
import type { Statement } from './row-query.ts';
import { isParsed } from './row-query.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';

/** A statement as it is sent. Without a name it is parsed each time. */
export interface Asked {
  readonly name: string | undefined;
  readonly sql: string;
  readonly values: readonly (string | null)[];
}

/** Reads that wait for a connection, or are under way. */
interface RowQueue {
  /**
   * Rows of one statement that only reads. `make`: called when a session is there for it, so that those that wait hold
   * little. `share`: of a message of several, 1 to 16 sixteenths; absent: it goes alone. Rejects with the signal's reason
   * while it waits, and then with what the server or the driver threw, explained.
   */
  ask(make: () => Asked, at: StatementOptions, share?: number): Promise<RawRow[]>;
}

/** Shares of a message, and so the most statements that go out as one. */
const shares = 16;
/** What is sent together shall take no longer, by what statements of the same text took lately, and hold no more. */
const mostMs = 100;
const mostBytes = 512 * 1024;
/** How much of what a statement took at most is still expected after another one of it. */
const keeps = 0.9;

interface Waiting {
  readonly make: () => Asked;
  readonly share: number | undefined;
  readonly at: StatementOptions;
  readonly resolve: (rows: RawRow[]) => void;
  readonly reject: (error: unknown) => void;
  readonly stop: () => void;
  asked: Asked | undefined;
  /** It was sent with others, of which one failed. */
  alone: boolean;
  /** What its end before the answer does; undefined: it waits. */
  leave: (() => void) | undefined;
}

interface Cost {
  ms: number;
  bytes: number;
}

/**
 * A statement goes out at once when a session is free. When all are at work those that wait go out several at a time, in
 * the order in which they came, as one message: that wakes the server once for all of them. Each remains a statement of
 * its own, with its own values, answer and errors, and none is sent before it was asked for: whoever has written reads
 * what they wrote.
 */
export const rowQueue = (x: {
  readonly room: Room<Session>;
  /** It is known that nothing lies between the session and the server: it can keep statements. */
  direct(session: Session): boolean;
  /** One statement on a session of which that is not so. Gives it back. */
  slowly(session: Session, waiting: { make(): Asked; readonly at: StatementOptions }): Promise<RawRow[]>;
  /** Gives a session back on which no statement is under way. */
  giveBack(session: Session): Promise<void>;
  explain(session: Session, error: unknown, at: StatementOptions): unknown;
}): RowQueue => {
  const pending: Waiting[] = [];
  /** Sessions that are waited for. */
  let turns = 0;
  const forAll: StatementOptions = { signal: new AbortController().signal, doing: 'reading' };
  const costs = new Map<string, Cost>();

  const settled = (w: Waiting): void => w.at.signal.removeEventListener('abort', w.stop);
  const answered = (w: Waiting, rows: RawRow[]): void => {
    settled(w);
    w.resolve(rows);
  };
  const failed = (w: Waiting, error: unknown): void => {
    settled(w);
    w.reject(error);
  };

  /** Waits for as many sessions as it takes to send all that is pending. */
  const want = (): void => {
    while (pending.length > turns * shares) {
      turns++;
      x.room.useInTurn(forAll, use, unused);
    }
  };

  const unused = (error: unknown): void => {
    turns--;
    // as if each had asked for a session of its own
    for (const w of pending.splice(0, 1)) failed(w, error);
    want();
  };

  const madeOf = (w: Waiting): Asked | undefined => {
    try {
      w.asked ??= w.make();
      return w.asked;
    } catch (error) {
      failed(w, error);
      return undefined;
    }
  };

  const statementOf = ({ name, sql, values }: Asked): Statement => ({ name: name ?? '', text: sql, values });

  /** The first that waits, and what can go with it. */
  const take = (session: Session): Waiting[] => {
    const taken: Waiting[] = [];
    let full = 0;
    let ms = 0;
    let bytes = 0;
    while (pending.length > 0) {
      const w = pending[0]!;
      const asked = madeOf(w);
      if (asked === undefined) {
        pending.shift();
        continue;
      }
      const cost = asked.name === undefined || w.alone ? undefined : costs.get(asked.name);
      if (cost === undefined || w.share === undefined || !isParsed(session.client, statementOf(asked))) {
        // alone: nothing is known of it, or it failed with others
        if (taken.length === 0) taken.push(pending.shift()!);
        break;
      }
      full += w.share;
      ms += cost.ms;
      bytes += cost.bytes;
      if (taken.length > 0 && (full > shares || ms > mostMs || bytes > mostBytes)) break;
      taken.push(pending.shift()!);
    }
    return taken;
  };

  const note = (sent: readonly Waiting[], ms: number, bytes: number): void => {
    for (const { asked } of sent) {
      if (asked?.name === undefined) continue;
      const each = { ms: ms / sent.length, bytes: bytes / sent.length };
      const known = costs.get(asked.name);
      if (known === undefined) costs.set(asked.name, each);
      else {
        known.ms = Math.max(each.ms, known.ms * keeps);
        known.bytes = Math.max(each.bytes, known.bytes * keeps);
      }
    }
  };

  const send = (session: Session, sent: readonly Waiting[]): void => {
    const { clock } = session.context;
    const began = clock.elapsed();
    let left = sent.length;
    const gone = new Set<Waiting>();
    const cancel = session.ask(
      sent.map((w) => statementOf(w.asked!)),
      (error, answers, bytes) => {
        if (error !== undefined) {
          const after = (): void => over(error);
          return void x.giveBack(session).then(after, after);
        }
        note(sent, clock.elapsed() - began, bytes);
        // its statements were a transaction of their own
        const kept = x.room.keep(session);
        const tell = (): void => {
          for (const [i, w] of sent.entries()) if (!gone.has(w)) answered(w, answers[i]!);
        };
        return void (session.broken ? kept.then(tell, over) : tell());
      },
    );
    const over = (error: unknown): void => {
      // which of several it was does not matter: each is asked alone now, and has an error of its own or none
      const again: Waiting[] = [];
      for (const w of sent) {
        if (gone.has(w)) continue;
        if (sent.length === 1 || w.at.signal.aborted) failed(w, x.explain(session, error, w.at));
        else again.push(w);
      }
      for (const w of again) {
        w.alone = true;
        w.leave = undefined;
      }
      pending.unshift(...again);
      want();
    };
    for (const w of sent)
      w.leave = () => {
        left--;
        // the others are not stopped for it; the last one waits until the server has let go
        if (left === 0) return cancel();
        gone.add(w);
        failed(w, x.explain(session, new Error('stopped'), w.at));
      };
  };

  const use = (session: Session): void => {
    turns--;
    if (x.direct(session)) {
      const sent = take(session);
      if (sent.length === 0) x.giveBack(session).catch(() => {});
      else send(session, sent);
    } else {
      const w = pending.shift();
      if (w === undefined) x.giveBack(session).catch(() => {});
      else {
        w.leave = () => {};
        x.slowly(session, w).then(
          (rows) => answered(w, rows),
          (error) => failed(w, error),
        );
      }
    }
    want();
  };

  return {
    ask: (make, at, share) =>
      new Promise((resolve, reject) => {
        const { signal } = at;
        if (signal.aborted) {
          reject(signal.reason);
          return;
        }
        const stop = (): void => {
          if (w.leave !== undefined) w.leave();
          else {
            pending.splice(pending.indexOf(w), 1);
            reject(signal.reason);
          }
        };
        const w: Waiting = { make, share, at, resolve, reject, stop, asked: undefined, alone: false, leave: undefined };
        signal.addEventListener('abort', stop, { once: true });
        pending.push(w);
        want();
      }),
  };
};
