import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { catalogue } from './catalogue.ts';
import type { Timings } from './timings.ts';

const buckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Counters of this process: requests, calls to endpoints, memory, event loop. */
export interface ProcessMetrics extends Disposable {
  text(): Promise<string>;
}

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
  const histogram = (name: 'lockstep_http_request_duration_seconds' | 'lockstep_endpoint_call_duration_seconds') => {
    const { help, labels } = catalogue[name];
    return new Histogram({ name, help, labelNames: [...labels], buckets, registers });
  };
  const requests = histogram('lockstep_http_request_duration_seconds');
  const calls = histogram('lockstep_endpoint_call_duration_seconds');
  const { help, labels } = catalogue.lockstep_build_info;
  new Gauge({ name: 'lockstep_build_info', help, labelNames: [...labels], registers }).set({ version }, 1);
  const listening = timings.listen((what, ms) => {
    if (what.kind === 'route')
      requests.observe({ method: what.method, route: what.route, status: String(what.status) }, ms / 1000);
    else if (what.kind === 'endpoint')
      calls.observe({ endpoint: what.endpoint, call: what.call, outcome: what.ok ? 'success' : 'failure' }, ms / 1000);
  });
  return {
    text: () => registers[0]!.metrics(),
    [Symbol.dispose]: () => {
      listening[Symbol.dispose]();
      registers[0]!.clear();
    },
  };
};
