import type { Log } from '../telemetry/log.ts';
import type { Timings } from '../telemetry/timings.ts';

/** A request that is over. */
export interface Over {
  readonly correlation: string;
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly ms: number;
  /** Absent: nobody that is known. */
  readonly actor?: string;
}

/** The status in logs and metrics of a request whose client went away before there was an answer, as proxies have it. */
export const clientGone = 499;

/** Writes the one log line and counts the one observation of each request, whichever way it was answered. */
export const requestLog =
  (o: { readonly log?: Log; readonly timings?: Timings }): ((over: Over) => void) =>
  ({ correlation, method, route, status, ms, actor }) => {
    const rounded = Math.round(ms * 100) / 100;
    o.timings?.record({ kind: 'route', method, route, status }, rounded);
    o.log?.info('request', {
      correlation,
      method,
      route,
      status,
      ms: rounded,
      ...(actor === undefined ? {} : { actor }),
    });
  };
