import { partsReader, type TlsParts } from '../sql/parts.ts';

/** A connection given by parts in a config entry, as written: nothing is escaped, numbers may be texts. */
export interface Parts {
  readonly host?: string;
  readonly port?: string;
  readonly socket?: string;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly schema?: string | readonly string[];
  readonly connect_timeout?: string;
  readonly tls?: TlsParts;
}

const textParts = [
  'host',
  'port',
  'socket',
  'user',
  'password',
  'database',
  'connect_timeout',
] as const satisfies readonly (keyof Parts)[];

const reader = partsReader('MySQL', textParts, ['pool']);

/** Reads the parts of a config entry. Throws CONFIG; no message repeats a value. */
export const readParts = (value: Readonly<Record<string, unknown>>): Parts =>
  reader.read(value, textParts, 'the name of a database or a list of names');
