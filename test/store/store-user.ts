import { createInterface } from 'node:readline';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/work/open-store.ts';
import { newRun, o } from './plain.ts';

/**
 * A process that uses the embedded store of a folder: `store-user.ts DIR GRACE_MS`. Says one line of JSON when the store is
 * open, then answers commands on its standard input: `run ID` records a run, `runs` lists them, `close` ends well.
 */
const [dir = '', grace = ''] = process.argv.slice(2);
const say = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};
try {
  const store = await openStore({ dir, clock: systemClock, signal: o.signal, graceMs: Number(grace) });
  say({ open: store.description });
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, id = ''] = line.split(' ');
    try {
      if (command === 'run') say({ run: (await store.runs.create(newRun({ id }), o)).id });
      if (command === 'runs') say({ runs: (await store.runs.list({}, o)).map((run) => [run.id, run.alive]) });
    } catch (error) {
      say({ code: (error as { code?: string }).code, message: (error as Error).message });
    }
    if (command === 'close') break;
  }
  await store[Symbol.asyncDispose]();
  process.exit(0);
} catch (error) {
  const { code, message, hint } = error as { code?: string; message: string; hint?: string };
  say({ code, message, hint });
  process.exit(1);
}
