import { type ChildProcess, spawn } from 'node:child_process';
import type { Log } from '../telemetry/log.ts';
import type { Context, Flags } from './context.ts';

/** Worker processes that end with this one, however it ends, and are started again when they die. */
export interface WorkerProcesses {
  /** The configuration has changed. */
  reload(): void;
  /** Lets each end what it has in hand. */
  stop(): Promise<void>;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** One that lived so long had not failed at its start. */
const goodMs = 60_000;

export const keepWorkers = (
  context: Context,
  flags: Flags,
  o: { readonly count: number; readonly log: Log },
): WorkerProcesses => {
  const [program, ...before] = context.command;
  const args = [...before, 'worker', ...(flags.config === undefined ? [] : ['--config', flags.config])];
  // An address may hold a password, and arguments show in `ps`.
  const env = { ...context.env, ...(flags.control === undefined ? {} : { LOCKSTEP_CONTROL_URL: flags.control }) };
  const children = new Map<number, ChildProcess>();
  const timers = new Map<number, NodeJS.Timeout>();
  let stopping = false;

  const start = (place: number, pauseMs: number): void => {
    const began = context.clock.elapsed();
    // It ends when the channel does: with this process, also when that is killed.
    const child = spawn(program!, args, { cwd: context.cwd, env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    children.set(place, child);
    const again = (why: Readonly<Record<string, unknown>>): void => {
      if (children.get(place) !== child) return;
      children.delete(place);
      if (stopping) return;
      const pause = context.clock.elapsed() - began > goodMs ? firstPauseMs : pauseMs;
      o.log.error('worker process ended, another is started', { ...why, pause_ms: pause });
      timers.set(
        place,
        setTimeout(() => start(place, Math.min(longestPauseMs, pause * 2)), pause),
      );
    };
    child.once('exit', (code, killed) => again({ code, killed }));
    child.once('error', (error) => again({ error }));
  };
  for (let place = 0; place < o.count; place++) start(place, firstPauseMs);

  return {
    reload: () => {
      for (const child of children.values()) child.kill('SIGHUP');
    },
    stop: async () => {
      stopping = true;
      for (const timer of timers.values()) clearTimeout(timer);
      const ends = [...children.values()].map(
        (child) =>
          new Promise<void>((resolve) => {
            if (child.exitCode !== null || child.signalCode !== null) resolve();
            child.once('exit', () => resolve());
            child.once('error', () => resolve());
          }),
      );
      for (const child of children.values()) child.kill('SIGTERM');
      await Promise.all(ends);
    },
  };
};
