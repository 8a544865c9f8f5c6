import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
};

/** Seconds that `work` takes. */
export const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};

/** Peak resident memory in MB, by the kernel's own count, of a process and its children (database servers are not ours). */
const peakMb = (pid: number): number => {
  const family = (parent: number): number[] => {
    try {
      const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim();
      return [parent, ...(children === '' ? [] : children.split(' ').map(Number).flatMap(family))];
    } catch {
      return [];
    }
  };
  let sum = 0;
  for (const member of family(pid)) {
    try {
      sum += Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${member}/status`, 'utf8'))?.[1] ?? 0) / 1024;
    } catch {
      // It ended meanwhile.
    }
  }
  return sum;
};

export interface ProcessFigures {
  readonly seconds: number;
  readonly peakMb: number;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end: wall seconds of the whole process, its family's peak memory (sampled), its output. */
export const runProcess = (
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ProcessFigures> =>
  new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', ...env },
    });
    let peak = 0;
    const sampler = setInterval(() => {
      if (child.pid !== undefined) peak = Math.max(peak, peakMb(child.pid));
    }, 50);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      clearInterval(sampler);
      resolve({ seconds: (performance.now() - start) / 1000, peakMb: peak, code: code ?? 1, stdout, stderr });
    });
  });

/** Does the machine list children of processes? Without it the figure for memory is of one process only. */
export const countsChildren = (): boolean => {
  try {
    readdirSync('/proc/self/task');
    readFileSync(`/proc/${process.pid}/task/${process.pid}/children`);
    return true;
  } catch {
    return false;
  }
};
