import type { Document, Operation, Parameter } from '../../src/http/openapi.ts';
import type { JsonSchema } from '../../src/http/openapi-example.ts';

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export const randomOf = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

const hostile = [
  '',
  ' ',
  "'",
  '";drop table x;--',
  '%',
  '%00',
  '\u0000',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  'é\u202e',
  '💥',
  '\ud800',
  'null',
  'NaN',
  '-1',
  '1e309',
  '99999999999999999999',
  '${env:HOME}',
  '{"a":1}',
  'a'.repeat(3000),
] as const;

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly token: string | null;
}

/** What exists in the service, so that some requests are about something. */
export interface Known {
  readonly names: readonly string[];
  readonly tags: readonly string[];
  readonly tokens: readonly (string | null)[];
}

/** Requests made of the document: some as it says, some not. */
export const generator = (document: Document, known: Known, random: () => number) => {
  const { schemas } = document.components;
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const chance = (share: number): boolean => random() < share;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const anything = (): unknown =>
    pick([null, true, 0, -1, 1.5, 2 ** 53, [], {}, [null], { __proto__: null, a: { b: [] } }, ...hostile]);

  const text = (schema: JsonSchema): string => {
    const pattern = schema.pattern ?? '';
    if (chance(0.15)) return pick(hostile);
    if (pattern.startsWith('^(gte|gt')) return pick(['gte.2026-01-01', 'lt.2999-12-31T00:00:00Z', 'gt.2026-02-31']);
    const several = /^\^\(eq\\\.\(([\w|]+)\)\|in/.exec(pattern)?.[1]?.split('|');
    if (several) return chance(0.5) ? `eq.${pick(several)}` : `in.(${pick(several)},${pick(several)})`;
    if (pattern.includes('eq\\.')) return `eq.${pick(known.names)}`;
    if (schema.format === 'date-time') return '2026-11-21T12:00:00.000Z';
    return pick([...known.names, ...(schema.examples ?? []).map(String), '1', '17']);
  };
  const valid = (given: JsonSchema, depth = 0): unknown => {
    const schema = given.$ref === undefined ? given : (schemas[given.$ref.split('/').at(-1)!] ?? {});
    if (schema.examples && chance(0.2)) return pick(schema.examples);
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return pick(schema.enum);
    const some = schema.anyOf ?? schema.oneOf;
    if (some) return valid(pick(some), depth);
    switch (pick([schema.type ?? 'string'].flat())) {
      case 'object':
        return Object.fromEntries([
          ...Object.entries(schema.properties ?? {})
            .filter(([name]) => schema.required?.includes(name) || chance(0.4))
            .map(([name, of]) => [name, valid(of, depth + 1)]),
          ...(typeof schema.additionalProperties === 'object' ? [[text({}), valid(schema.additionalProperties)]] : []),
        ]);
      case 'array':
        return depth > 4
          ? []
          : [valid(schema.items ?? {}, depth + 1), ...(chance(0.3) ? [valid(schema.items ?? {})] : [])];
      case 'integer':
      case 'number':
        return pick([schema.minimum ?? 0, 1, 2, 50]);
      case 'boolean':
        return chance(0.5);
      case 'null':
        return null;
      default:
        return text(schema);
    }
  };
  /** A value with one place of it replaced, removed or added to. */
  const spoilt = (value: unknown): unknown => {
    if (Array.isArray(value) && value.length > 0 && chance(0.7)) return value.map((v, i) => (i === 0 ? spoilt(v) : v));
    if (value !== null && typeof value === 'object' && chance(0.8)) {
      const entries = Object.entries(value);
      const at = Math.floor(random() * (entries.length + 1));
      if (at === entries.length) return { ...value, [pick(hostile)]: anything() };
      if (chance(0.3)) return Object.fromEntries(entries.filter((_, i) => i !== at));
      return Object.fromEntries(entries.map(([name, v], i) => [name, i === at ? spoilt(v) : v]));
    }
    return anything();
  };
  const word = (p: Parameter): string => {
    const value = chance(0.85) ? valid(p.schema) : anything();
    return typeof value === 'string' ? value : JSON.stringify(value);
  };
  const encoded = (value: string): string => encodeURIComponent(value.toWellFormed());
  const headerSafe = (value: string): string => value.replaceAll(/[^\x20-\x7e]/g, '?');

  return (): Asked => {
    const { method, path, operation } = pick(operations);
    const parameters = operation.parameters ?? [];
    const filled = path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => {
      const p = parameters.find((x) => x.in === 'path' && x.name === name);
      const value = chance(0.7) ? pick(known.names) : p ? word(p) : pick(hostile);
      return value === '' ? 'x' : encoded(value);
    });
    const query = parameters
      .filter((p) => p.in === 'query' && (p.required ? chance(0.95) : chance(0.3)))
      .map((p) => `${p.name}=${encoded(word(p))}`);
    if (chance(0.05)) query.push(`${encoded(pick(hostile))}=1`);
    const headers: Record<string, string> = {};
    for (const p of parameters.filter((x) => x.in === 'header' && chance(0.8)))
      headers[p.name] = p.name === 'If-Match' ? pick([...known.tags, '"x"', '*', 'W/"x"']) : headerSafe(word(p));
    if (chance(0.2))
      headers['accept'] = pick([
        '*/*',
        'text/csv',
        'application/x-ndjson;q=0.5',
        'image/png',
        ',,;q=x',
        'application/*',
      ]);
    if (chance(0.1)) headers['x-request-id'] = headerSafe(pick(hostile));
    if (chance(0.1)) headers['if-none-match'] = pick(['*', '"x"', ...known.tags]);
    const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
    let body: string | undefined;
    if (content !== undefined && chance(0.95)) {
      const made = valid(content.schema);
      body = chance(0.05) ? pick(['{', '[1,', '"', 'x']) : JSON.stringify(chance(0.5) ? made : spoilt(made));
      headers['content-type'] = chance(0.05) ? 'text/plain' : type!;
    }
    return {
      method,
      path: `${filled}${query.length > 0 ? `?${query.join('&')}` : ''}`,
      operation,
      headers,
      ...(body === undefined ? {} : { body }),
      token: chance(0.8) ? known.tokens[0]! : pick(known.tokens),
    };
  };
};
