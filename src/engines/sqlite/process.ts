import { readSync, writeSync } from 'node:fs';
import { LockstepError } from '../../model/errors.ts';
import { toWire } from './failures.ts';
import { encodeMessage, messageReader, type Reply, type Request } from './protocol.ts';
import { openSession } from './session.ts';
import { watchParent } from './watchdog.ts';

/**
 * Entry of the process that holds one SQLite connection: reads a request from standard input, answers on standard
 * output, one after the other, blocking; so the pipe itself is the back-pressure. Ends when its input ends; the
 * watchdog ends it in the middle of a statement when the parent is gone.
 */
const session = openSession();
const pause = new Int32Array(new SharedArrayBuffer(4));

/** Runs a call on a descriptor that may be set not to block. */
const patiently = (call: () => number): number => {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
};

const send = (reply: Reply): void => {
  const bytes = encodeMessage(reply);
  for (let sent = 0; sent < bytes.length; ) sent += patiently(() => writeSync(1, bytes, sent));
};

const answer = ({ op, args }: Request): Reply => {
  try {
    const handler = session.handlers[op as keyof typeof session.handlers] as ((args: unknown) => unknown) | undefined;
    if (!handler) throw new LockstepError('INTERNAL', `the SQLite process knows no ${op}.`);
    return { value: handler(args) };
  } catch (error) {
    return { error: toWire(error, session.path()) };
  }
};

let watched = false;
const read = messageReader((message) => {
  send(answer(message as Request));
  // After the first answer, so that opening does not wait for it.
  if (!watched) watchParent();
  watched = true;
});
const chunk = Buffer.allocUnsafe(1 << 16);
try {
  for (;;) {
    const size = patiently(() => readSync(0, chunk));
    if (size === 0) break;
    read(Buffer.from(chunk.subarray(0, size)));
  }
} finally {
  session.close();
}
process.exit(0);
