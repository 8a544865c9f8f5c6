import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Reader } from '../../src/model/reader.ts';
import type { Writer } from '../../src/model/writer.ts';
import { overEndpoint, overReader, overWriter } from '../conformance/wrap.ts';

/** A call that can be made to fail: a method of the endpoint, its readers or its writer. */
export type Call =
  | 'snapshot'
  | 'scan'
  | 'count'
  | 'inspect'
  | 'prepare'
  | 'lock'
  | 'apply'
  | 'applied'
  | 'advanceSequences';

/** What a script of faults sees of a call. `nth` counts the calls of that kind from 1. */
export interface Seen {
  readonly call: Call;
  readonly nth: number;
}

/**
 * - `reject`: fails without doing anything
 * - `lose`: does the whole work, then fails, as when the reply is lost after the commit
 * - `hold`: waits until `until` is settled, then works
 * - `slow`: lets `turns` turns of the event loop pass first
 */
export type Fault =
  | { readonly verb: 'reject'; readonly error?: Error }
  | { readonly verb: 'lose'; readonly error?: Error }
  | { readonly verb: 'hold'; readonly until: Promise<unknown> }
  | { readonly verb: 'slow'; readonly turns: number };

const lost = (): Error => new LockstepError('CONNECTION_LOST', 'The connection was lost (made to happen by a test).');

/** An endpoint whose calls fail as `script` says; a call for which it says nothing goes through. */
export const faulty = (endpoint: Endpoint, script: (seen: Seen) => Fault | undefined): Endpoint => {
  const counts = new Map<Call, number>();
  const fault = (call: Call): Fault | undefined => {
    const nth = (counts.get(call) ?? 0) + 1;
    counts.set(call, nth);
    return script({ call, nth });
  };
  const before = async (f: Fault | undefined): Promise<void> => {
    if (f?.verb === 'reject') throw f.error ?? lost();
    if (f?.verb === 'hold') await f.until;
    if (f?.verb === 'slow') for (let i = 0; i < f.turns; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const run = async <T>(call: Call, work: () => Promise<T>): Promise<T> => {
    const f = fault(call);
    await before(f);
    const result = await work();
    if (f?.verb === 'lose') throw f.error ?? lost();
    return result;
  };
  const reader = (r: Reader): Reader =>
    overReader(r, {
      scan: async function* (...a) {
        const f = fault('scan');
        await before(f);
        yield* r.scan(...a);
        if (f?.verb === 'lose') throw f.error ?? lost();
      },
      count: (...a) => run('count', () => r.count(...a)),
    });
  const writer = (w: Writer): Writer =>
    overWriter(w, {
      prepare: (o) => run('prepare', () => w.prepare(o)),
      lock: (...a) => run('lock', () => w.lock(...a)),
      apply: (...a) => run('apply', () => w.apply(...a)),
      applied: (...a) => run('applied', () => w.applied(...a)),
      advanceSequences: (...a) => run('advanceSequences', () => w.advanceSequences(...a)),
    });
  return overEndpoint(endpoint, {
    inspect: (o) => run('inspect', () => endpoint.inspect(o)),
    snapshot: async (o) => reader(await run('snapshot', () => endpoint.snapshot(o))),
    ...(endpoint.writer ? { writer: writer(endpoint.writer) } : {}),
  });
};
