import { dirname, join } from 'node:path';
import { runCommandLine, type World } from '../../src/cli/run.ts';
import { engineNames, engineOfUrl, loadEngine } from '../../src/engines/registry.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Outcome } from '../e2e/lockstep.ts';

/** What a command has of the world outside when it runs within this process: no terminal, nobody to ask, no signals. */
export const world = (o: {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly out?: (text: string) => void;
  readonly err?: (text: string) => void;
}): World => {
  const never = new AbortController().signal;
  const to = (say: ((text: string) => void) | undefined) => ({
    isTTY: false,
    columns: 80,
    color: false,
    closed: false,
    flush: async () => {},
    write: async (text: string) => say?.(text),
  });
  return {
    version: '0',
    out: to(o.out),
    err: to(o.err),
    env: o.env ?? {},
    cwd: o.cwd,
    clock: systemClock,
    engines: { names: engineNames, ofUrl: engineOfUrl, load: loadEngine },
    stop: never,
    now: never,
    canAsk: false,
    ask: async () => '',
    command: [],
    onHangup: () => ({ [Symbol.dispose]: () => {} }),
    every: () => ({ [Symbol.dispose]: () => {} }),
    demo: async () => 0,
  };
};

const root = join(dirname(import.meta.filename), '../..');

/** The command line without a process of its own: quicker, where it is the words and the exit code that matter. */
export const inProcess = async (
  args: readonly string[],
  o: { readonly cwd?: string; readonly env?: Readonly<Record<string, string | undefined>> } = {},
): Promise<Outcome> => {
  let stdout = '';
  let stderr = '';
  const code = await runCommandLine(
    args,
    world({
      ...o,
      cwd: o.cwd ?? root,
      out: (text) => {
        stdout += text;
      },
      err: (text) => {
        stderr += text;
      },
    }),
  );
  return { code, stdout, stderr };
};
