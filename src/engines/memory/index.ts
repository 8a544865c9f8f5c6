import type { Engine } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import { type MemoryConfig, memoryEndpoint } from './endpoint.ts';
import { MemoryDatabase } from './store.ts';

/** The reference engine: the shortest that passes the conformance kit. Not reachable by a URL. */
export const memory: Engine<MemoryConfig> = {
  name: 'memory',
  schemes: [],
  parse: (config) => {
    if (typeof config === 'object' && config['database'] instanceof MemoryDatabase)
      return config as unknown as MemoryConfig;
    throw new LockstepError('CONFIG', 'The memory engine takes a database object, not a URL.');
  },
  describe: () => 'memory',
  connect: async ({ database, ...config }, { name, writable }) =>
    memoryEndpoint(database, { ...config, name, writable }),
};
