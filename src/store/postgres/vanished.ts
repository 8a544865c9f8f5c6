import type pg from 'pg';
import type { Connector } from './connector.ts';

/** When a statement has taken this long, and again after it, the server is asked for a sign of life; how long it has for that. */
export interface Patience {
  readonly suspectMs: number;
  readonly answerMs: number;
}

export const usualPatience: Patience = { suspectMs: 5_000, answerMs: 3_000 };

/**
 * Breaks a connection whose server has vanished without a word (a host that lost its power): the network alone would
 * notice after many minutes. Only where there is another server to go to. The answer ends the watch.
 */
export const watchHost = (client: pg.Client, connector: Connector, patience: Patience): (() => void) => {
  const { beside } = connector;
  if (beside === undefined) return () => {};
  let over = false;
  const look = async (): Promise<void> => {
    const signal = AbortSignal.timeout(patience.answerMs);
    try {
      const other = await beside(client, { signal });
      other.end().catch(() => {});
    } catch {
      // that it refuses one more connection is an answer, too
      if (over || !signal.aborted) return;
      const { stream } = (
        client as unknown as { readonly connection: { readonly stream: { destroy(e: Error): void } } }
      ).connection;
      stream.destroy(Object.assign(new Error('the server does not answer any more'), { code: 'ECONNRESET' }));
      return;
    }
    if (!over) timer = setTimeout(look, patience.suspectMs);
  };
  let timer = setTimeout(look, patience.suspectMs);
  return () => {
    over = true;
    clearTimeout(timer);
  };
};
