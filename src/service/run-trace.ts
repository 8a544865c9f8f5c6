import type { Run } from '../model/runs.ts';
import { type Timed, withoutValues } from '../telemetry/timings.ts';
import { parseTraceparent, traceparentOf } from '../telemetry/traceparent.ts';
import type { Span, Tracer } from '../telemetry/traces.ts';

/** The spans of one run: itself, its phases, and below these the batches that are written and the statements that are read by. */
export interface RunTrace {
  /** For what it asks of others; undefined: nothing is traced. */
  readonly traceparent: string | undefined;
  phase(name: string): void;
  /** Something that an endpoint of the run was asked. */
  timed(what: Timed, ms: number): void;
  end(how: string, failed?: string): void;
}

/** Calls that only hand out what is then asked itself. */
const batchCall = 'writer.apply';

export const traceRun = (tracer: Tracer | undefined, run: Run): RunTrace => {
  const attributes = {
    'lockstep.run': run.id,
    'lockstep.kind': run.kind,
    'lockstep.correlation': run.correlation,
    'lockstep.attempt': run.asked?.attempt ?? 0,
    ...(run.sync === null ? {} : { 'lockstep.sync': run.sync }),
  };
  const parent = parseTraceparent(run.asked?.traceparent);
  const span = tracer?.begin(`run ${run.kind}`, { kind: 'consumer', parent, attributes });
  let phase: Span | undefined;
  let at: string | undefined;
  let batches = 0;
  const enter = (name: string): void => {
    if (name === at) return;
    at = name;
    phase?.end();
    phase = tracer?.begin(`phase ${name}`, { parent: span?.context });
  };
  return {
    traceparent: span && traceparentOf(span.context),
    phase: enter,
    timed: (what, ms) => {
      // Progress tells of this phase only when the first batch is done.
      if (what.kind === 'endpoint' && what.call === 'writer.lock' && what.ok) enter('apply');
      const below = { parent: phase?.context ?? span?.context, kind: 'client' as const };
      if (what.kind === 'statement')
        tracer?.ended(`statement ${what.endpoint}`, ms, {
          ...below,
          attributes: {
            'db.query.text': withoutValues(what.sql),
            'lockstep.endpoint': what.endpoint,
            'lockstep.rows': what.rows,
          },
        });
      else if (what.kind === 'endpoint' && (what.call === batchCall || what.call === 'connect')) {
        const name = what.call === batchCall ? `batch ${++batches}` : `connect ${what.endpoint}`;
        tracer?.ended(name, ms, {
          ...below,
          attributes: { 'lockstep.endpoint': what.endpoint },
          ...(what.ok ? {} : { failed: 'it failed' }),
        });
      }
    },
    end: (how, failed) => {
      phase?.end();
      phase = undefined;
      span?.end({ attributes: { 'lockstep.outcome': how }, ...(failed === undefined ? {} : { failed }) });
    },
  };
};
