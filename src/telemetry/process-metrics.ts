import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { catalogue } from './catalogue.ts';
import { exposition, type Sample } from './exposition.ts';
import type { Timings } from './timings.ts';

const buckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Counters of this process: requests, calls to endpoints, memory, event loop. */
export interface ProcessMetrics extends Disposable {
  text(): Promise<string>;
}

type HistogramName = 'lockstep_http_request_duration_seconds' | 'lockstep_endpoint_call_duration_seconds';

/** Counts what is met many thousand times a second: a series is one look into a map. */
const histogram = (metric: HistogramName) => {
  const series = new Map<string, { readonly counts: number[]; sum: number }>();
  const { labels } = catalogue[metric];
  return {
    /** `values`: those of the labels, in their order, with NUL between them. */
    observe: (values: string, seconds: number): void => {
      let found = series.get(values);
      if (found === undefined) {
        found = { counts: Array<number>(buckets.length + 1).fill(0), sum: 0 };
        series.set(values, found);
      }
      let i = 0;
      while (i < buckets.length && seconds > buckets[i]!) i++;
      found.counts[i]!++;
      found.sum += seconds;
    },
    samples: (): readonly Sample[] =>
      [...series].flatMap(([values, { counts, sum }]): Sample[] => {
        const parts = values.split('\u0000');
        const named = Object.fromEntries(labels.map((label, i) => [label, parts[i]!]));
        let count = 0;
        const below = [...buckets, Number.POSITIVE_INFINITY].map((bucket, i): Sample => {
          count += counts[i]!;
          const le = bucket === Number.POSITIVE_INFINITY ? '+Inf' : String(bucket);
          return { metric, labels: { ...named, le }, part: 'bucket', value: count };
        });
        return [
          ...below,
          { metric, labels: named, part: 'sum', value: sum },
          { metric, labels: named, part: 'count', value: count },
        ];
      }),
  };
};

/** What the runtime tells of itself, by name: as prom-client words it. */
export const runtimeMetrics = (): readonly {
  readonly name: string;
  readonly help: string;
  readonly type: string;
}[] => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'lockstep_' });
  const all = registry.getMetricsAsArray() as unknown as readonly { name: string; help: string; type: string }[];
  return all
    .map(({ name, help, type }) => ({ name, help, type: String(type) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
};

export const processMetrics = (timings: Timings, version: string): ProcessMetrics => {
  const registers = [new Registry()];
  collectDefaultMetrics({ register: registers[0]!, prefix: 'lockstep_' });
  const requests = histogram('lockstep_http_request_duration_seconds');
  const calls = histogram('lockstep_endpoint_call_duration_seconds');
  const { help, labels } = catalogue.lockstep_build_info;
  new Gauge({ name: 'lockstep_build_info', help, labelNames: [...labels], registers }).set({ version }, 1);
  const listening = timings.listen((what, ms) => {
    if (what.kind === 'route') requests.observe(`${what.method}\u0000${what.route}\u0000${what.status}`, ms / 1000);
    else if (what.kind === 'endpoint')
      calls.observe(`${what.endpoint}\u0000${what.call}\u0000${what.ok ? 'success' : 'failure'}`, ms / 1000);
  });
  return {
    text: async () => `${await registers[0]!.metrics()}${exposition([...requests.samples(), ...calls.samples()])}`,
    [Symbol.dispose]: () => {
      listening[Symbol.dispose]();
      registers[0]!.clear();
    },
  };
};
