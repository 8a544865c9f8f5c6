import type { Clock } from '../lib/clock.ts';
import type { Audit, AuditHead } from '../model/audit.ts';
import type { Log } from '../telemetry/log.ts';

/**
 * Writes the end of the audit log into the log of this process: at once, every so often while it grows, and at the end.
 * Logs leave the machine, so that who cuts the audit off, or chains it again with a stolen key, is found by
 * `lockstep audit verify --checkpoint`. Never rejects.
 */
export const writeCheckpoints = async (o: {
  readonly audit: Pick<Audit, 'head'>;
  readonly log: Pick<Log, 'info' | 'error'>;
  readonly clock: Pick<Clock, 'sleep'>;
  /** Milliseconds; asked each time. */
  readonly everyMs: () => number;
  readonly signal: AbortSignal;
}): Promise<void> => {
  let last: AuditHead | undefined;
  const write = async (signal: AbortSignal): Promise<void> => {
    try {
      const head = await o.audit.head({ signal });
      if (head.hash !== last?.hash) o.log.info('audit checkpoint', { ...head });
      last = head;
    } catch (error) {
      if (!signal.aborted) o.log.error('the end of the audit log cannot be read', { error });
    }
  };
  while (!o.signal.aborted) {
    await write(o.signal);
    await o.clock.sleep(o.everyMs(), o.signal).catch(() => {});
  }
  await write(AbortSignal.timeout(5000));
};
