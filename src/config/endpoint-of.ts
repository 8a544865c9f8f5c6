import { defaultRetry, type EndpointEntry, type Retry } from './config.ts';
import { httpEntry, secretsOf } from './http-entry.ts';
import { durationAt, flagAt, lineOf, numberAt, type Path, type Reading } from './read-value.ts';
import { resolveReferences } from './references.ts';
import { breakerOf } from './resilience.ts';
import type { ConfigFile } from './schema.ts';
import { configError } from './validate.ts';

type FileEndpoint = NonNullable<ConfigFile['endpoints']>[string];

const retryOf = (r: Reading, retry: FileEndpoint['retry'], path: Path): Retry => {
  const at = (key: string): Path => [...path, 'retry', key];
  return {
    attempts: retry?.attempts === undefined ? defaultRetry.attempts : numberAt(r, retry.attempts, at('attempts'), 1),
    baseMs: retry?.base === undefined ? defaultRetry.baseMs : durationAt(r, retry.base, at('base')),
    maxMs: retry?.max === undefined ? defaultRetry.maxMs : durationAt(r, retry.max, at('max')),
  };
};

const references = (values: readonly (string | undefined)[]): readonly string[] =>
  values.flatMap((value) => [...(value ?? '').matchAll(/\$\{[a-z]+:[^}]*\}/g)].map((m) => m[0]));

/** An endpoint as it is used; secrets are looked up when it is connected to. */
export const endpointOf = (r: Reading, name: string, entry: FileEndpoint): EndpointEntry => {
  const path: Path = ['endpoints', name];
  const { writable, limits, retry, breaker, replicas, ...rest } = entry;
  if (rest.url === undefined && rest.engine === undefined) {
    throw configError(r.document, path, `endpoint \`${name}\` has neither url nor engine`, {
      of: 'key',
      hint: 'Give `url: "${env:…}"`, or `engine: postgres` with host, port, user, password and database.',
    });
  }
  const clash = (['host', 'port', 'user', 'password', 'database', 'path', 'engine'] as const).find(
    // an API has both: its address is a url, and `engine: http` says what it is
    (k) =>
      rest[k] !== undefined && !(k === 'engine' && rest.engine === 'http' && /^(https?:|\$\{)/i.test(rest.url ?? '')),
  );
  if (rest.url !== undefined && clash !== undefined) {
    throw configError(r.document, [...path, clash], `endpoint \`${name}\` has both url and ${clash}`, {
      of: 'key',
      hint: 'Use a url, or engine and parts; not both.',
    });
  }
  const connection = (): string | Readonly<Record<string, unknown>> => {
    const { url, ...parts } = rest;
    const settings = { ...parts, ...(url === undefined ? {} : { url }) };
    const values = resolveReferences(settings, path, r.document, r.around) as Record<string, unknown>;
    const port = values['port'];
    if (port !== undefined) values['port'] = numberAt(r, port, [...path, 'port'], 1);
    if (values['http'] !== undefined)
      values['http'] = httpEntry(values['http'], {
        retry: retry === undefined ? undefined : retryOf(r, retry, path),
        wrong: (key, what) => configError(r.document, [...path, 'http', key], `${key}: ${what}`),
        secret: (value) => r.around.onSecret?.(value),
      });
    return values['url'] !== undefined && Object.keys(values).length === 1 ? (values['url'] as string) : values;
  };
  return {
    name,
    writable: writable === undefined ? false : flagAt(r, writable, [...path, 'writable']),
    connection,
    credentials: references([rest.url, rest.password, ...secretsOf(rest.http).map((s) => s.value)]),
    line: lineOf(r, path),
    ...(retry === undefined ? {} : { retry: retryOf(r, retry, path) }),
    breaker: breakerOf(breaker, {
      number: (value, key) => numberAt(r, value, [...path, 'breaker', key], 1),
      duration: (value, key) => durationAt(r, value, [...path, 'breaker', key]),
    }),
    replicas: () => resolveReferences(replicas ?? [], [...path, 'replicas'], r.document, r.around) as string[],
    ...(limits?.concurrency === undefined
      ? {}
      : { concurrency: numberAt(r, limits.concurrency, [...path, 'limits', 'concurrency'], 1) }),
    ...(limits?.rows_per_second === undefined
      ? {}
      : { rowsPerSecond: numberAt(r, limits.rows_per_second, [...path, 'limits', 'rows_per_second'], 1) }),
    ...(limits?.statement_timeout === undefined
      ? {}
      : {
          statementTimeoutMs: durationAt(r, limits.statement_timeout as string, [
            ...path,
            'limits',
            'statement_timeout',
          ]),
        }),
  };
};
