import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { Run, Runs } from '../model/runs.ts';
import type { RunRequest } from '../model/service.ts';
import type { Beat, ServiceStore } from '../model/service-store.ts';
import type { Log } from '../telemetry/log.ts';
import { settleRun } from '../work/interrupted.ts';
import { hasBegun } from '../work/recorded.ts';
import { endpointsOf, executeRun } from './execute-run.ts';
import { runPhases } from './run-phases.ts';
import { traceRun } from './run-trace.ts';
import type { RunWorld } from './run-world.ts';

/** How a run left this process. `waits`: somebody else holds what it needs; it is tried again soon. */
export type Left = 'ended' | 'waits' | 'put_back' | 'taken_over';

/** A run at work in this process, and the ways to stop it. */
export interface Work {
  readonly run: Run;
  readonly left: Promise<Left>;
  /** What the store says of it, once a second or so. */
  heard(beat: Beat): void;
  /** Finish the batch in hand, save, and let another worker go on. */
  yield(): void;
  /** Now: what is not saved is done again by another worker. */
  yieldNow(): void;
}

/** Who wants the same target waits so long for it before that is told as a failure, milliseconds. */
const waitForTargetMs = 120_000;

const ended = (message: string): LockstepError => new LockstepError('ABORTED', message);

/** Carries out one claimed run. */
export const carryOut = (o: {
  readonly world: RunWorld;
  readonly store: ServiceStore;
  readonly run: Run;
  readonly log: Log;
  /** Runs of this process that have met a target's lock, and when they first did, by `clock.elapsed`. */
  readonly waiting: Map<string, number>;
}): Work => {
  const { world, store, run } = o;
  const log = o.log.child({
    run: run.id,
    correlation: run.correlation,
    ...(run.sync === null ? {} : { sync: run.sync }),
  });
  const now = new AbortController();
  const stop = new AbortController();
  let yields = false;
  let takenOver = false;
  /** Its work came to its end, whether or not the store could be told. */
  let reached = false;
  let cancelledBy = run.asked?.cancelledBy ?? null;
  let left: Left | undefined;

  /** A cancelled run that had begun to write: what is half-done is settled before it ends. */
  const settle = async (c: Cancel): Promise<void> => {
    const current = await store.runs.get(run.id, c);
    if (current === undefined || !hasBegun(current) || (await store.journal.open(run.id, c)).length === 0) return;
    const request = run.asked!.request as unknown as RunRequest;
    const target = (await endpointsOf(world.config, store, request, c)).find((e) => e.writable);
    if (target === undefined) return;
    await using endpoint = await world.endpoints.open(target.name, { ...c, writable: true });
    await settleRun({ ...c, store, target: endpoint, clock: world.clock, random: world.random }, current);
  };

  /** Who lost the run writes no end of it. Where nobody has begun it again (its lock was gone for a moment), somebody may. */
  const lost = async (c: Cancel): Promise<void> => {
    await store.runs.putBack(run.id, c);
    left = 'taken_over';
  };

  /** How long it has waited for its target: not how long it was at work before. */
  const waitedMs = (): number => {
    const now = world.clock.elapsed();
    const since = o.waiting.get(run.id) ?? now;
    o.waiting.set(run.id, since);
    return now - since;
  };

  /** Runs whose ends are looked at before they are written down. */
  const runs: Runs = {
    ...store.runs,
    finish: async (id, end, c) => {
      if (id !== run.id) return store.runs.finish(id, end, c);
      // How it left has been written down.
      if (left !== undefined) return;
      phases.enter('record');
      await phases.settled();
      if (takenOver) return lost(c);
      const waits = end.error?.code === 'LOCK_HELD' && waitedMs() < waitForTargetMs;
      if (!waits) o.waiting.delete(id);
      if (cancelledBy === null && ((yields && end.state === 'cancelled') || waits)) {
        await store.runs.putBack(id, c);
        left = waits ? 'waits' : 'put_back';
        return;
      }
      const stopped = cancelledBy !== null && end.state === 'cancelled';
      if (stopped)
        await settle({ signal: AbortSignal.timeout(30_000) }).catch((error: unknown) =>
          log.error('writes of a cancelled run are not settled', { error }),
        );
      const told = stopped
        ? { ...end, error: { code: 'ABORTED' as const, message: `Cancelled by ${cancelledBy}.` } }
        : end;
      reached ||= end.report !== undefined;
      try {
        await store.runs.finish(id, told, stopped ? { signal: AbortSignal.timeout(10_000) } : c);
      } catch (error) {
        // The store has let it go.
        if (error instanceof LockstepError && error.code === 'FENCED') left = 'taken_over';
        throw error;
      }
      left = 'ended';
    },
  };
  const trace = traceRun(world.tracer, run);
  const guarded: ServiceStore = { ...store, runs };
  const signal = now.signal;
  const phases = runPhases({ signal, store, run, clock: world.clock, log, began: trace.phase });

  const cancel = (by: string): void => {
    cancelledBy = by;
    stop.abort(ended(`Cancelled by ${by}.`));
    now.abort(ended(`Cancelled by ${by}.`));
  };

  const end = async (error: unknown, c: Cancel): Promise<Left> => {
    if (left !== undefined) return left;
    if (!takenOver && error instanceof LockstepError && error.code === 'FENCED')
      takenOver = (await store.runs.get(run.id, c))?.asked?.attempt !== run.asked!.attempt;
    // What it came to is not replaced by a failure to say so: the store has it, or the work is looked at again.
    if (reached && !takenOver) throw error;
    // It failed before its use case began to keep its record.
    const state = signal.aborted || cancelledBy !== null ? ('cancelled' as const) : ('failed' as const);
    const known = error instanceof LockstepError ? error : new LockstepError('INTERNAL', String(error));
    await runs.finish(
      run.id,
      {
        state,
        exit: state === 'cancelled' ? 130 : known.exit,
        finished: world.clock.now(),
        error: {
          code: known.code,
          message: known.message,
          ...(known.hint === undefined ? {} : { hint: known.hint }),
        },
      },
      c,
    );
    return left!;
  };

  const work = async (): Promise<Left> => {
    const began = world.clock.elapsed();
    const asked = run.asked!;
    log.info('run started', { kind: run.kind, attempt: asked.attempt, trigger: asked.trigger });
    let error: unknown;
    try {
      if (cancelledBy !== null) throw ended(`Cancelled by ${cancelledBy}.`);
      await store.events.append(
        [
          {
            at: world.clock.now(),
            type: 'run.started',
            subject: `runs/${run.id}`,
            sync: run.sync,
            correlation: run.correlation,
            data: { run: run.id, kind: run.kind, attempt: asked.attempt, trigger: asked.trigger },
          },
        ],
        { signal },
      );
      phases.enter('collect');
      await executeRun(world, {
        signal,
        stop: stop.signal,
        run,
        store: guarded,
        onProgress: phases.tick,
        log,
        trace,
      });
    } catch (caught) {
      error = caught;
    }
    const c = { signal: AbortSignal.timeout(30_000) };
    const how = error === undefined && left !== undefined ? left : await end(error, c);
    const fields = { outcome: how, elapsed_ms: Math.round(world.clock.elapsed() - began) };
    trace.end(how, error === undefined ? undefined : (error as Error).message);
    if (error === undefined || how !== 'ended') log.info('run left', fields);
    else if (cancelledBy !== null) log.info('run cancelled', fields);
    else log.error('run failed', { ...fields, error });
    return how;
  };

  return {
    run,
    left: work(),
    heard: (beat) => {
      if (!beat.mine && left === undefined) {
        takenOver = true;
        now.abort(new LockstepError('FENCED', `another process has taken run ${run.id} over`));
        stop.abort();
      } else if (beat.cancelledBy !== null && cancelledBy === null) cancel(beat.cancelledBy);
      else if (beat.pausedBy !== null && !yields) {
        yields = true;
        stop.abort(ended(`Paused by ${beat.pausedBy}.`));
        now.abort(ended(`Paused by ${beat.pausedBy}.`));
      }
    },
    yield: () => {
      yields = true;
      stop.abort(ended('The worker is being shut down.'));
    },
    yieldNow: () => {
      yields = true;
      stop.abort(ended('The worker is being shut down.'));
      now.abort(ended('The worker is being shut down.'));
    },
  };
};
