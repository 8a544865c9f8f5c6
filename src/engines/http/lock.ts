import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import type { Fingerprint } from '../../model/endpoint.ts';
import type { StepMark, WriterLock } from '../../model/writer.ts';
import { fenced, lockHeld, lockTtlMs, thisProcess } from '../sql/step-lock.ts';

interface Note {
  readonly run: string;
  readonly pid: number;
  readonly holder: string;
  readonly since: string;
  readonly token: string;
}

/** A lock among the processes of one user on one machine: an API has no place for one of ours. */
export interface MachineLock {
  take(run: string, pair: string): WriterLock;
  /** Throws FENCED when a later holder has been at work. */
  check(mark: StepMark): void;
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

export const machineLock = (side: string, target: Fingerprint, clock: Clock): MachineLock => {
  const folder = join(tmpdir(), `lockstep-locks-${process.getuid?.() ?? 'user'}`);
  const name = createHash('sha256').update(`${target.server} ${target.database}`).digest('hex').slice(0, 24);
  const file = join(folder, name);
  const read = (): Note | undefined => {
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as Note;
    } catch {
      return undefined;
    }
  };
  return {
    take: (run, pair) => {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const held = read();
      if (held !== undefined && held.run !== run && isAlive(held.pid))
        throw lockHeld(side, pair, { run: held.run, holder: held.holder, since: held.since, expiresInMs: lockTtlMs });
      const now = BigInt(clock.now());
      const token = held !== undefined && BigInt(held.token) >= now ? BigInt(held.token) + 1n : now;
      const since = `${new Date(clock.now()).toISOString().slice(0, 19)} UTC`;
      const note: Note = { run, pid: process.pid, holder: thisProcess(), since, token: String(token) };
      if (held !== undefined) rmSync(file, { force: true });
      try {
        writeFileSync(file, JSON.stringify(note), { flag: 'wx', mode: 0o600 });
      } catch (error) {
        const other = read();
        if (other === undefined) throw error;
        throw lockHeld(side, pair, { ...other, expiresInMs: lockTtlMs });
      }
      return {
        token,
        [Symbol.asyncDispose]: async () => {
          if (read()?.token === String(token)) rmSync(file, { force: true });
        },
      };
    },
    check: (mark) => {
      const now = read();
      if (now !== undefined && BigInt(now.token) > mark.token) throw fenced(side, mark);
    },
  };
};
