import type pg from 'pg';
import type { Cancel } from '../../model/cancel.ts';
import type { Connector } from './connector.ts';

const channels = ['lockstep_queue', 'lockstep_event', 'lockstep_stop'] as const;
export type Channel = (typeof channels)[number];

/** What other processes tell at once. What is not told (a pooler, a broken connection) is found by looking again. */
export interface Listener extends AsyncDisposable {
  /** One item at first, then after each notice, and whenever `pollMs` have passed without one. */
  arrivals(channel: Channel, pollMs: number, o: Cancel): AsyncIterable<void>;
}

const reconnectMs = 1000;

/** One connection per process, opened when somebody first listens. */
export const openListener = (connector: Connector): Listener => {
  const waiting = new Map<Channel, Set<() => void>>(channels.map((c) => [c, new Set()]));
  const ended = new AbortController();
  let connecting: Promise<pg.Client> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let users = 0;

  const wake = (channel: Channel): void => {
    for (const one of waiting.get(channel) ?? []) one();
  };
  const connect = (): void => {
    if (connecting || ended.signal.aborted) return;
    const again = (): void => {
      connecting = undefined;
      if (ended.signal.aborted || users === 0) return;
      retry ??= setTimeout(() => {
        retry = undefined;
        connect();
      }, reconnectMs).unref();
    };
    connecting = connector.connect({ signal: ended.signal, writable: true });
    connecting
      .then(async (client) => {
        client.on('notification', (n) => wake(n.channel as Channel));
        client.on('error', again);
        client.on('end', again);
        await client.query(channels.map((c) => `listen ${c}`).join('; '));
        // What was told while nobody listened.
        for (const channel of channels) wake(channel);
      })
      .catch(again);
  };

  return {
    arrivals: async function* (channel, pollMs, o) {
      const all = waiting.get(channel)!;
      let told = true;
      let go: (() => void) | undefined;
      const one = (): void => {
        told = true;
        go?.();
      };
      const stop = (): void => go?.();
      all.add(one);
      users++;
      o.signal.addEventListener('abort', stop, { once: true });
      connect();
      try {
        while (!o.signal.aborted) {
          if (!told) {
            let timer: NodeJS.Timeout | undefined;
            await new Promise<void>((resolve) => {
              go = resolve;
              timer = setTimeout(resolve, pollMs);
            });
            go = undefined;
            clearTimeout(timer);
          }
          told = false;
          if (!o.signal.aborted) yield;
        }
      } finally {
        users--;
        all.delete(one);
        o.signal.removeEventListener('abort', stop);
      }
    },
    [Symbol.asyncDispose]: async () => {
      ended.abort();
      clearTimeout(retry);
      await (await connecting?.catch(() => undefined))?.end().catch(() => {});
    },
  };
};
