import { LockstepError } from '../../model/errors.ts';

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
  readonly tls?: Readonly<Partial<Record<(typeof tlsParts)[number], string>>>;
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
const tlsParts = ['mode', 'ca', 'ca_file', 'server_name', 'cert', 'key'] as const;
/** Settings of every endpoint, read elsewhere. */
const otherParts = ['engine', 'writable', 'replicas', 'limits', 'retry', 'breaker', 'pool'];
const known = [...textParts, 'schema', 'tls', ...otherParts];

const wrong = (at: string, what: string): LockstepError =>
  new LockstepError('CONFIG', `the MySQL endpoint is not written right at ${at}: ${what}`, {
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

/** Reads the parts of a config entry. Throws CONFIG; no message repeats a value. */
export const readParts = (value: Fields): Parts => {
  const fields = fieldsOf(value, 'the top', known);
  const { schema, tls } = fields;
  const isName = (name: unknown): name is string => typeof name === 'string';
  if (schema !== undefined && !isName(schema) && !(Array.isArray(schema) && schema.every(isName)))
    throw wrong('schema', 'expected the name of a database or a list of names');
  if (fields['host'] === '') throw wrong('host', 'is empty');
  return {
    ...textsOf(fields, textParts),
    ...(schema === undefined ? {} : { schema: schema as string | readonly string[] }),
    ...(tls === undefined ? {} : { tls: textsOf(fieldsOf(tls, 'tls', tlsParts), tlsParts, 'tls.') }),
  };
};
