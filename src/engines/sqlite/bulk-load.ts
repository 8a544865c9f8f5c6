import type { Clock } from '../../lib/clock.ts';
import type { Loader } from '../../model/build.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Connection } from './connection.ts';

/** Runs `work` with the one connection that writes, when all that came before is done. */
type Alone = <T>(o: Cancel, work: (c: Connection) => Promise<T>) => Promise<T>;

const stepRows = 100_000;
const holdMs = 60_000;

/** Loads by prepared statements, one step at a time; foreign keys are looked at when every table has its rows. */
export const sqliteLoader = (alone: Alone, clock: Clock): Loader => ({
  stepRows,
  lanes: 1,
  load: (mark, table, columns, rows, o) =>
    alone(o, async (c) => {
      if ((await c.call('beginStep', { mark, unlinked: true }, o)) === 'already') return { status: 'already' as const };
      let finished = false;
      try {
        let written = 0;
        for await (const batch of rows) {
          const refused = await c.call('loadRows', { table, columns, rows: batch }, o);
          for (const { index, reason } of refused) o.refused(batch[index]!, reason);
          written += batch.length - refused.length;
        }
        await o.beforeCommit();
        const failed = await c.call('commitStep', { mark, untilMs: clock.now() + holdMs }, o);
        if (failed !== null) throw new LockstepError('DATABASE', `loading ${table.name}: ${failed.reason}`);
        finished = true;
        return { status: 'done' as const, rows: written };
      } finally {
        if (!finished && !c.ended) await c.call('end', null, { signal: new AbortController().signal }).catch(() => {});
      }
    }),
});
