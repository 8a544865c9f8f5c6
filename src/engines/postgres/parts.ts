import { LockstepError } from '../../model/errors.ts';

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
  readonly tls?: Readonly<Partial<Record<(typeof tlsParts)[number], string>>>;
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
const tlsParts = ['mode', 'ca', 'ca_file', 'server_name', 'cert', 'key'] as const;
/** Settings of every endpoint, read elsewhere. */
const otherParts = ['engine', 'writable', 'replicas', 'limits', 'retry', 'breaker'];
const known = [...textParts, 'schema', 'tls', 'pool', ...otherParts];

const wrong = (at: string, what: string): LockstepError =>
  new LockstepError('CONFIG', `the PostgreSQL endpoint is not written right at ${at}: ${what}`, {
    hint: `Known parts: ${known.join(', ')}.`,
  });

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown, at: string, allowed: readonly string[]): Fields => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(at, 'expected parts by name');
  const odd = Object.keys(value).find((key) => !allowed.includes(key));
  if (odd !== undefined) throw wrong(at === 'the top' ? odd : `${at}.${odd}`, 'this is not a known part');
  return value as Fields;
};

const textsOf = <K extends string>(fields: Fields, names: readonly K[], at = ''): Partial<Record<K, string>> => {
  const found: Partial<Record<K, string>> = {};
  for (const name of names) {
    const value = fields[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' && typeof value !== 'number') throw wrong(at + name, 'expected text');
    found[name] = String(value);
  }
  return found;
};

const poolOf = (value: unknown): { readonly max?: number } => {
  const { max } = fieldsOf(value, 'pool', ['max']);
  if (max === undefined) return {};
  const n = typeof max === 'string' && max.trim() !== '' ? Number(max) : max;
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 2 || n > 1000)
    throw wrong('pool.max', 'expected a whole number, 2 to 1000');
  return { max: n };
};

/** Reads the parts of a config entry. Throws CONFIG; no message repeats a value. */
export const readParts = (value: Readonly<Record<string, unknown>>): Parts => {
  const fields = fieldsOf(value, 'the top', known);
  const { schema, tls, pool } = fields;
  const isName = (name: unknown): name is string => typeof name === 'string';
  if (schema !== undefined && !isName(schema) && !(Array.isArray(schema) && schema.every(isName)))
    throw wrong('schema', 'expected a name or a list of names');
  if (fields['host'] === '') throw wrong('host', 'is empty');
  return {
    ...textsOf(fields, textParts),
    ...(schema === undefined ? {} : { schema: schema as string | readonly string[] }),
    ...(tls === undefined ? {} : { tls: textsOf(fieldsOf(tls, 'tls', tlsParts), tlsParts, 'tls.') }),
    ...(pool === undefined ? {} : { pool: poolOf(pool) }),
  };
};
