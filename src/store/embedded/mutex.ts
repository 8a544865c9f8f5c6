import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../lib/clock.ts';
import type { Cancel } from '../../model/cancel.ts';

/**
 * Runs `work` while no other process does so for the same file. SQLite's lock on the file is the kernel's: it ends with
 * the process, however that ends, so nothing stale can stay.
 */
export const exclusively = async <T>(file: string, clock: Clock, o: Cancel, work: () => Promise<T>): Promise<T> => {
  const lock = new DatabaseSync(file);
  try {
    for (;;) {
      try {
        lock.exec('begin exclusive');
        break;
      } catch (error) {
        if (!/locked|busy/i.test((error as Error).message)) throw error;
        await clock.sleep(25, o.signal);
      }
    }
    return await work();
  } finally {
    lock.close();
  }
};
