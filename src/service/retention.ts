import type { Retention } from '../config/retention.ts';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Forgotten, ServiceStore } from '../model/service-store.ts';
import type { Log } from '../telemetry/log.ts';
import { audited } from '../work/audited.ts';

/** Forgets ended runs that are older than they are kept. What was written is forgotten between two entries of the audit log. */
export const forgetOld = async (
  o: Cancel & {
    readonly store: Pick<ServiceStore, 'forget' | 'forgettable' | 'audit'>;
    readonly retention: Retention;
    readonly clock: Pick<Clock, 'now'>;
    readonly log: Pick<Log, 'info'>;
  },
): Promise<void> => {
  const { store, retention, clock, log, signal } = o;
  const now = clock.now();
  const told = (what: string, gone: Forgotten): void => {
    if (gone.runs + gone.conflicts > 0) log.info('old runs forgotten', { what, ...gone });
  };
  for (const what of ['quiet', 'runs'] as const) {
    const age = retention[what];
    if (age !== undefined) told(what, await store.forget(what, now - age, { signal }));
  }
  if (retention.changes === undefined) return;
  const before = now - retention.changes;
  if (!(await store.forgettable('changes', before, { signal }))) return;
  const entry = { actor: 'retention', action: 'runs.forget', object: 'runs', correlation: newId('c', now) };
  const gone = await audited(
    store.audit,
    { ...entry, after: { before: new Date(before).toISOString() } },
    { signal },
    () => store.forget('changes', before, { signal }),
    (result) => ({ ...result, before: new Date(before).toISOString() }),
  );
  told('changes', gone);
};
