import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';

const root = join(dirname(import.meta.filename), '../..');

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line as a user would, in a process of its own; never throws for an exit code. */
export const lockstep = (
  args: readonly string[],
  o: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [join(root, 'src/main.ts'), ...args],
      { cwd: o.cwd ?? root, env: { ...process.env, NO_COLOR: '1', ...o.env }, maxBuffer: 256 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') reject(error);
        else resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
      },
    );
  });
