import type { HttpSection } from './http-schema.ts';

type Values = Record<string, unknown>;

/** Numbers and flags that were looked up come as texts. */
const numbers = ['requests_per_second', 'concurrency', 'max_bytes'] as const;

/**
 * `http` of an endpoint with its references looked up, as the engine reads it. `wrong` makes the error for a setting;
 * `secret` is told each value that must not be shown, wherever it came from.
 */
export const httpEntry = (
  resolved: unknown,
  o: {
    readonly retry: unknown;
    wrong(key: string, what: string): Error;
    secret(value: string): void;
  },
): Values => {
  const values = { ...(resolved as Values) };
  for (const key of numbers) {
    if (values[key] === undefined) continue;
    const n = Number(values[key]);
    if (!Number.isFinite(n) || n <= 0) throw o.wrong(key, 'expected a number above 0');
    values[key] = n;
  }
  if (values['allow_private'] !== undefined) {
    const flag = String(values['allow_private']);
    if (flag !== 'true' && flag !== 'false') throw o.wrong('allow_private', 'expected true or false');
    values['allow_private'] = flag === 'true';
  }
  for (const secret of secretsOf(values as HttpSection)) o.secret(secret.value);
  return o.retry === undefined ? values : { ...values, retry: o.retry };
};

/** Values of `auth` that are secrets, and where they stand. */
export const secretsOf = (
  http: HttpSection | undefined,
): readonly { readonly path: readonly string[]; readonly value: string }[] => {
  const auth = http?.auth;
  const found: { path: readonly string[]; value: string }[] = [];
  const add = (value: string | undefined, ...path: readonly string[]): void => {
    if (value !== undefined) found.push({ path: ['http', 'auth', ...path], value });
  };
  add(auth?.bearer, 'bearer');
  add(auth?.basic?.password, 'basic', 'password');
  add(auth?.header?.value, 'header', 'value');
  add(auth?.oauth2?.client_secret, 'oauth2', 'client_secret');
  return found;
};
