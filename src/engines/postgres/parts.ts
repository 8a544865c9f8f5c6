import { partsReader, type TlsParts } from '../sql/parts.ts';

/** A connection given by parts in a config entry, as written: nothing is escaped, numbers may be texts. */
export interface Parts {
  readonly host?: string;
  readonly port?: string;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly schema?: string | readonly string[];
  readonly application_name?: string;
  readonly connect_timeout?: string;
  readonly tls?: TlsParts;
  readonly pool?: { readonly max?: number };
}

const textParts = [
  'host',
  'port',
  'user',
  'password',
  'database',
  'application_name',
  'connect_timeout',
] as const satisfies readonly (keyof Parts)[];

const reader = partsReader('PostgreSQL', textParts, ['pool']);

const poolOf = (value: unknown): { readonly max?: number } => {
  const { max } = reader.fields(value, 'pool', ['max']);
  if (max === undefined) return {};
  const n = typeof max === 'string' && max.trim() !== '' ? Number(max) : max;
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 2 || n > 1000)
    throw reader.wrong('pool.max', 'expected a whole number, 2 to 1000');
  return { max: n };
};

/** Reads the parts of a config entry. Throws CONFIG; no message repeats a value. */
export const readParts = (value: Readonly<Record<string, unknown>>): Parts => ({
  ...reader.read(value, textParts, 'a name or a list of names'),
  ...(value['pool'] === undefined ? {} : { pool: poolOf(value['pool']) }),
});
