import { LockstepError } from '../../model/errors.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Settings of every endpoint, read elsewhere. */
const otherParts = ['engine', 'writable', 'replicas', 'limits', 'retry', 'breaker'];

const tlsParts = ['mode', 'ca', 'ca_file', 'server_name', 'cert', 'key'] as const;
export type TlsParts = Readonly<Partial<Record<(typeof tlsParts)[number], string>>>;

/** A connection given by parts in a config entry, as written: nothing is escaped, numbers may be texts. */
export type Parts<K extends string> = Readonly<Partial<Record<K, string>>> & {
  readonly schema?: string | readonly string[];
  readonly tls?: TlsParts;
  /** `pool: { max }` */
  readonly poolMax?: number;
};

/**
 * Reads the parts of an engine that is called `title`: its texts, the schema (what that is, for messages), the TLS
 * settings and the pool. Throws CONFIG; no message repeats a value.
 */
export const partsReader = <const K extends string>(x: {
  readonly title: string;
  readonly texts: readonly K[];
  readonly schemaIs: string;
}): ((value: Fields) => Parts<K>) => {
  const known = [...x.texts, 'schema', 'tls', 'pool', ...otherParts];
  const wrong = (at: string, what: string): LockstepError =>
    new LockstepError('CONFIG', `the ${x.title} endpoint is not written right at ${at}: ${what}`, {
      hint: `Known parts: ${known.join(', ')}.`,
    });
  /** The members of a part; throws where one of them is not allowed. */
  const fields = (value: unknown, at: string, allowed: readonly string[]): Fields => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(at, 'expected parts by name');
    const odd = Object.keys(value).find((key) => !allowed.includes(key));
    if (odd !== undefined) throw wrong(at === 'the top' ? odd : `${at}.${odd}`, 'this is not a known part');
    return value as Fields;
  };
  const textsOf = <N extends string>(from: Fields, names: readonly N[], at = ''): Partial<Record<N, string>> => {
    const found: Partial<Record<N, string>> = {};
    for (const name of names) {
      const value = from[name];
      if (value === undefined) continue;
      if (typeof value !== 'string' && typeof value !== 'number') throw wrong(at + name, 'expected text');
      found[name] = String(value);
    }
    return found;
  };
  const mostOf = (pool: unknown): number | undefined => {
    const { max } = fields(pool, 'pool', ['max']);
    if (max === undefined) return undefined;
    const n = typeof max === 'string' && max.trim() !== '' ? Number(max) : max;
    if (typeof n !== 'number' || !Number.isInteger(n) || n < 2 || n > 1000)
      throw wrong('pool.max', 'expected a whole number, 2 to 1000');
    return n;
  };
  return (value) => {
    const top = fields(value, 'the top', known);
    const { schema, tls, pool } = top;
    const isName = (name: unknown): name is string => typeof name === 'string';
    if (schema !== undefined && !isName(schema) && !(Array.isArray(schema) && schema.every(isName)))
      throw wrong('schema', `expected ${x.schemaIs}`);
    if (top['host'] === '') throw wrong('host', 'is empty');
    const poolMax = pool === undefined ? undefined : mostOf(pool);
    return {
      ...textsOf(top, x.texts),
      ...(schema === undefined ? {} : { schema: schema as string | readonly string[] }),
      ...(tls === undefined ? {} : { tls: textsOf(fields(tls, 'tls', tlsParts), tlsParts, 'tls.') }),
      ...(poolMax === undefined ? {} : { poolMax }),
    };
  };
};
