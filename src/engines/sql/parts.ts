import { LockstepError } from '../../model/errors.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Settings of every endpoint, read elsewhere. */
const otherParts = ['engine', 'writable', 'replicas', 'limits', 'retry', 'breaker'];

const tlsParts = ['mode', 'ca', 'ca_file', 'server_name', 'cert', 'key'] as const;
export type TlsParts = Readonly<Partial<Record<(typeof tlsParts)[number], string>>>;

/** Reads a connection given by parts in a config entry, as written: nothing is escaped, numbers may be texts. */
export interface PartsReader {
  wrong(at: string, what: string): LockstepError;
  /** The members of a part; throws where one of them is not allowed. */
  fields(value: unknown, at: string, allowed: readonly string[]): Fields;
  /** The named texts, the schema and the TLS settings. Throws CONFIG; no message repeats a value. */
  read<K extends string>(
    value: Fields,
    texts: readonly K[],
    schemaIs: string,
  ): Partial<Record<K, string>> & { readonly schema?: string | readonly string[]; readonly tls?: TlsParts };
}

/** `title`: of the engine, for messages; `more`: parts beside texts, schema and TLS. */
export const partsReader = (title: string, texts: readonly string[], more: readonly string[]): PartsReader => {
  const known = [...texts, 'schema', 'tls', ...more, ...otherParts];
  const wrong = (at: string, what: string): LockstepError =>
    new LockstepError('CONFIG', `the ${title} endpoint is not written right at ${at}: ${what}`, {
      hint: `Known parts: ${known.join(', ')}.`,
    });
  const fields = (value: unknown, at: string, allowed: readonly string[]): Fields => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(at, 'expected parts by name');
    const odd = Object.keys(value).find((key) => !allowed.includes(key));
    if (odd !== undefined) throw wrong(at === 'the top' ? odd : `${at}.${odd}`, 'this is not a known part');
    return value as Fields;
  };
  const textsOf = <K extends string>(from: Fields, names: readonly K[], at = ''): Partial<Record<K, string>> => {
    const found: Partial<Record<K, string>> = {};
    for (const name of names) {
      const value = from[name];
      if (value === undefined) continue;
      if (typeof value !== 'string' && typeof value !== 'number') throw wrong(at + name, 'expected text');
      found[name] = String(value);
    }
    return found;
  };
  return {
    wrong,
    fields,
    read: (value, names, schemaIs) => {
      const top = fields(value, 'the top', known);
      const { schema, tls } = top;
      const isName = (name: unknown): name is string => typeof name === 'string';
      if (schema !== undefined && !isName(schema) && !(Array.isArray(schema) && schema.every(isName)))
        throw wrong('schema', `expected ${schemaIs}`);
      if (top['host'] === '') throw wrong('host', 'is empty');
      return {
        ...textsOf(top, names),
        ...(schema === undefined ? {} : { schema: schema as string | readonly string[] }),
        ...(tls === undefined ? {} : { tls: textsOf(fields(tls, 'tls', tlsParts), tlsParts, 'tls.') }),
      };
    },
  };
};
