import type { Engine } from '../../model/endpoint.ts';
import { describeConfig, type FirebirdConfig, parseConfig } from './config.ts';
import { connectFirebird } from './endpoint.ts';

/** Firebird 3 and later, over the network. */
export const firebird: Engine<FirebirdConfig> = {
  name: 'firebird',
  schemes: ['firebird'],
  parse: parseConfig,
  describe: describeConfig,
  connect: connectFirebird,
};
