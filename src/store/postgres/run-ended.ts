import type { Cancel } from '../../model/cancel.ts';
import type { JsonValue } from '../../model/json.ts';
import { resultOf } from '../../model/run-result.ts';
import type { RunError } from '../../model/runs.ts';
import type { Event } from '../../model/service.ts';
import type { Connection } from './database.ts';
import { fromJson, fromTime } from './values.ts';

/** The event that a run has ended, from its record. */
export const endedEvent = async (
  connection: Connection,
  id: string,
  at: number,
  o: Cancel,
): Promise<Omit<Event, 'id'>> => {
  const [row] = await connection.query(
    `select kind, state, exit, sync, plan, correlation, started, trigger, report, error from lockstep_control.run where id = $1`,
    [id],
    o,
  );
  const error = fromJson<RunError | null>(row!['error']);
  return {
    at,
    type: 'run.finished',
    subject: `runs/${id}`,
    sync: row!['sync'] as string | null,
    correlation: row!['correlation'] as string,
    data: {
      run: id,
      kind: row!['kind'] as string,
      state: row!['state'] as string,
      exit: row!['exit'] as number,
      ...(row!['plan'] === null ? {} : { plan: row!['plan'] as string }),
      ...(row!['trigger'] === null ? {} : { trigger: row!['trigger'] as string }),
      elapsed_ms: at - fromTime(row!['started'])!,
      ...(resultOf(fromJson(row!['report'])) as unknown as Record<string, JsonValue>),
      ...(error === null ? {} : { error: { code: error.code, message: error.message } }),
    },
  };
};
