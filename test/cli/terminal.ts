import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';

const main = join(dirname(import.meta.filename), '../../src/main.ts');
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** A command on a real terminal (a pty, by util-linux's `script`): what it shows, and keys typed into it. */
export interface Terminal extends Disposable {
  /** Everything shown so far, control characters and all. */
  readonly shown: string;
  /** The command's exit code, when it has ended. */
  readonly ended: Promise<number | null>;
  type(keys: string): void;
  /** Resolves when the pattern is shown; rejects when the command ends without. */
  until(pattern: RegExp): Promise<void>;
}

/** Runs lockstep on a terminal of so many columns. */
export const onTerminal = (
  args: readonly string[],
  o: { readonly cwd: string; readonly env?: Readonly<Record<string, string>>; readonly columns?: number },
): Terminal => {
  const command = [process.execPath, main, ...args].map(quoted).join(' ');
  const child = spawn('script', ['-qec', `stty rows 24 cols ${o.columns ?? 80}; exec ${command}`, '/dev/null'], {
    cwd: o.cwd,
    env: { ...process.env, TERM: 'xterm', NO_COLOR: '', ...o.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let shown = '';
  let over = false;
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const check of waiting) check();
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    look();
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new Error('no terminal: install util-linux, whose `script` gives one', { cause })),
    );
    child.once('close', (code) => {
      over = true;
      look();
      resolve(code);
    });
  });
  ended.catch(() => {});
  return {
    get shown() {
      return shown;
    },
    ended,
    type: (keys) => void child.stdin.write(keys),
    until: (pattern) =>
      Promise.race([
        ended.then(() => {}),
        new Promise<void>((resolve) => {
          const check = (): void => {
            if (!over && !pattern.test(shown)) return;
            waiting.delete(check);
            resolve();
          };
          waiting.add(check);
          check();
        }),
      ]).then(() => {
        if (!pattern.test(shown)) throw new Error(`the command ended without showing ${pattern}:\n${shown}`);
      }),
    [Symbol.dispose]: () => void child.kill(),
  };
};
