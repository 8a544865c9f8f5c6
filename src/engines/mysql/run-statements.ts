import type { Change } from '../../model/change.ts';
import { errorNumber, errorNumbers, isRefusal } from './failures.ts';
import type { Session, StatementOptions } from './session.ts';

/** A statement that writes one change. */
export interface Pending {
  readonly change: Change;
  readonly sql: string;
}

/** Bytes of one request: many statements or rows, well below what a server takes by default. */
const requestBytes = 1_000_000;

/** Refusals that other changes of the batch may cure: a value still taken, a row still referred to or not there yet. */
const curable = new Set<number>([errorNumbers.DUPLICATE, errorNumbers.REFERENCED, errorNumbers.NO_REFERENCED]);

/** As many from `from` on as one request holds; at least one. */
export const takeBytes = <T extends { readonly sql: string }>(items: readonly T[], from: number): readonly T[] => {
  let end = from;
  for (let bytes = 0; end < items.length; end++) {
    bytes += items[end]!.sql.length * 2;
    if (bytes > requestBytes && end > from) break;
  }
  return items.slice(from, end);
};

/** Runs the statements, those again that others were in the way of. The refusal that no repeat cures, if any. */
export const settle = async (
  session: Session,
  all: readonly Pending[],
  at: StatementOptions,
): Promise<{ readonly left: readonly Pending[]; readonly error: unknown } | undefined> => {
  for (let pending = all; ; ) {
    const left: Pending[] = [];
    let reason: unknown;
    for (let i = 0; i < pending.length; ) {
      const request = takeBytes(pending, i);
      const { affected, failed } = await session.run(
        request.map((p) => p.sql),
        at,
      );
      const doubled = affected.findIndex((n) => n > 1);
      if (doubled >= 0) return { left: [request[doubled]!], error: new Error('several rows have this key') };
      if (!failed) {
        i += request.length;
        continue;
      }
      const p = request[failed.at];
      if (p === undefined || !isRefusal(failed.error)) throw session.explain(failed.error, at);
      if (!curable.has(errorNumber(failed.error)!)) return { left: [p], error: failed.error };
      reason ??= failed.error;
      left.push(p);
      i += failed.at + 1;
    }
    if (left.length === 0) return undefined;
    if (left.length === pending.length) return { left, error: reason };
    pending = left;
  }
};
