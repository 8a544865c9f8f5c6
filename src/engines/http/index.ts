import { systemClock } from '../../lib/clock.ts';
import type { Engine } from '../../model/endpoint.ts';
import { describeConfig, type HttpConfig, parseConfig } from './config.ts';
import { HttpEndpoint } from './endpoint.ts';

/** REST and other JSON APIs over HTTP (see docs/engines/http.md). */
export const http: Engine<HttpConfig> = {
  name: 'http',
  schemes: ['http', 'https'],
  parse: parseConfig,
  describe: describeConfig,
  connect: async (config, o) => {
    o.signal.throwIfAborted();
    return new HttpEndpoint(config, o, { clock: systemClock, random: Math.random });
  },
};
