import type { FastifyInstance, RouteOptions } from 'fastify';
import { z } from 'zod';
import type { Principal } from '../access/scopes.ts';
import { exampleOf, type JsonSchema } from './openapi-example.ts';

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly 'x-lockstep-scope': string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, Answer | { readonly $ref: string }>>;
}
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly description?: string;
  readonly schema: JsonSchema;
  readonly example?: unknown;
}
type Content = Readonly<Record<string, { readonly schema: JsonSchema; readonly example?: unknown }>>;
export interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly description: string; readonly schema: JsonSchema }>>;
  readonly content?: Content;
}

/** OpenAPI 3.1, as far as it is used here. */
export interface Document {
  readonly openapi: string;
  readonly info: Readonly<Record<string, unknown>>;
  readonly servers: readonly { readonly url: string }[];
  tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: {
    readonly schemas: Record<string, JsonSchema>;
    /** The problems, by name. */
    readonly responses: Record<string, Answer>;
    readonly securitySchemes: Readonly<Record<string, unknown>>;
  };
}

/** What is added to the document for some callers. */
export interface Part {
  /** What it is made from: it is kept only while this is the same. */
  readonly from: object;
  /** Stands for what is shown: callers who have the same names are given the same document. */
  readonly names: readonly string[];
  add(document: Document): Promise<void>;
}

/** What no route knows by itself, as far as this caller may know of it; undefined: nothing. Nobody is undefined, too. */
export type Addition = (caller: Principal | undefined) => Part | undefined;

const tags: Readonly<Record<string, string>> = {
  syncs: 'What is configured, how it fares, and what differs now',
  runs: 'Every execution, and what it found',
  plans: 'Changes that are reviewed before they are applied',
  changes: 'What was written, and undoing it',
  history: 'One row',
  conflicts: 'Rows that both sides changed: what waits for a person, and what was decided',
  quarantine: 'Source rows that break the rules of their pair',
  records: 'Rows of configured tables: list, read, write',
  endpoints: 'The databases and APIs',
  events: 'What happens, as it happens',
  monitoring: 'Health, performance and numbers',
  alerts: 'What needs somebody',
  audit: 'Who did what',
  tokens: 'Who may ask',
  backups: 'Copies that are proved',
  service: 'This server',
};

const words: Readonly<Record<string, string>> = {
  200: 'Done',
  201: 'Made',
  202: 'Accepted: workers carry it out',
  204: 'Done; there is nothing to say',
  207: 'Done as far as the results say',
  304: 'What you have is what there is',
  400: 'Malformed, or a wrong parameter',
  401: 'Who asks is not known',
  403: 'A scope is missing',
  404: 'There is no such thing, or none that you may know of',
  406: 'No accepted form of it can be given',
  409: 'Its state does not allow this',
  410: 'It is no longer kept, or has expired',
  412: 'If-Match is not what is there',
  413: 'More than 1 MB',
  415: 'The body is no JSON',
  422: 'Valid JSON that means nothing here',
  428: 'If-Match is required',
  429: 'Too many requests: see Retry-After',
  500: 'A defect of Lockstep',
  502: 'A database or API failed',
  503: 'Not now: see Retry-After',
  504: 'It took too long',
};

const text: JsonSchema = { type: 'string' };

/** JSON Schema of zod schemas; what has an id becomes a component. */
const schemaMaker = (components: Record<string, JsonSchema>) => {
  const here = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(here);
    if (value === null || typeof value !== 'object') return value;
    const { id: _, $schema: __, ...rest } = value as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(rest).map(([name, v]) => [
        name,
        name === '$ref' && typeof v === 'string'
          ? v.replace('#/$defs/', '#/components/schemas/')
          : name === 'properties'
            ? Object.fromEntries(Object.entries(v as object).map(([n, s]) => [n, here(s)]))
            : name === 'examples' || name === 'default' || name === 'const' || name === 'enum'
              ? v
              : here(v),
      ]),
    );
  };
  return (schema: z.ZodType, io: 'input' | 'output'): JsonSchema => {
    // Inside an object, so that a schema with an id is a reference too.
    const made = z.toJSONSchema(z.object({ it: schema }), {
      io,
      unrepresentable: 'any',
      cycles: 'ref',
      // Members may be added to answers.
      override: ({ jsonSchema }) => {
        if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      },
    });
    for (const [name, definition] of Object.entries(made.$defs ?? {}))
      components[name] = here(definition) as JsonSchema;
    return here((made.properties as Record<string, unknown>)['it']) as JsonSchema;
  };
};

/** Where a zod object takes its parameters from. */
const parametersOf = (
  make: ReturnType<typeof schemaMaker>,
  where: Parameter['in'],
  schema: unknown,
  components: Record<string, JsonSchema>,
): readonly Parameter[] => {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = make(schema as z.ZodType, 'input');
  const { shape } = schema as z.ZodObject;
  return Object.entries(properties).map(([name, { description: told, ...made }]) => {
    // Of what is transformed after it was read, zod leaves it out.
    const meta = shape[name]?.meta() as { description?: string; examples?: readonly unknown[] } | undefined;
    const description = told ?? meta?.description;
    const of: JsonSchema = meta?.examples === undefined ? made : { ...made, examples: meta.examples };
    return {
      name: where === 'header' ? headerName(name) : name,
      in: where,
      required: where === 'path' || required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: of,
      ...(of.examples === undefined ? {} : { example: exampleOf(of, components) }),
    };
  });
};

const headerName = (name: string): string =>
  name.replaceAll(/(^|-)[a-z]/g, (letters) => letters.toUpperCase()).replace('Etag', 'ETag');

const answersOf = (
  route: RouteOptions,
  make: ReturnType<typeof schemaMaker>,
  components: Record<string, JsonSchema>,
  problems: Record<string, Answer>,
): Operation['responses'] => {
  const { produces = [], etag } = route.config ?? {};
  const answers: Record<string, Answer | { readonly $ref: string }> = {};
  for (const [status, given] of Object.entries((route.schema?.response ?? {}) as Record<string, unknown>)) {
    const bodies: Record<string, z.ZodType> =
      given instanceof z.ZodType
        ? { 'application/json': given }
        : Object.fromEntries(
            Object.entries((given as { content?: Record<string, { schema: z.ZodType }> }).content ?? {}).map(
              ([type, { schema }]) => [type, schema],
            ),
          );
    const content: Record<string, Content[string]> = {};
    for (const [type, body] of Object.entries(bodies)) {
      const schema = make(body, 'output');
      const shown = type === 'text/event-stream' ? undefined : exampleOf(schema, components, Number(status));
      content[type] = { schema, ...(shown === undefined ? {} : { example: shown }) };
    }
    if (status === '200') for (const type of produces) content[type] ??= { schema: text };
    const headers = {
      ...(status === '202' || status === '201' ? { Location: { description: 'Where it is', schema: text } } : {}),
      ...(etag && status === '200'
        ? { ETag: { description: 'Strong; for If-None-Match and If-Match', schema: text } }
        : {}),
      ...(status === '429' || status === '503' ? { 'Retry-After': { description: 'Seconds', schema: text } } : {}),
    };
    const answer: Answer = {
      description: words[status] ?? 'An answer',
      ...(Object.keys(headers).length > 0 ? { headers } : {}),
      ...(Object.keys(content).length > 0 ? { content } : {}),
    };
    if ('application/problem+json' in content) {
      problems[`Problem${status}`] = answer;
      answers[status] = { $ref: `#/components/responses/Problem${status}` };
    } else answers[status] = answer;
  }
  if (etag) answers['304'] = { description: words['304']! };
  return answers;
};

/** Collects the routes of the app; the function it returns makes the document of those that have a summary. */
export const documentOf = (app: FastifyInstance, version: string): ((parts: readonly Part[]) => Promise<Document>) => {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => void routes.push(route));
  return async (parts) => {
    const schemas: Record<string, JsonSchema> = {};
    const responses: Record<string, Answer> = {};
    const make = schemaMaker(schemas);
    const paths: Document['paths'] = {};
    for (const route of routes) {
      const { schema, config, url } = route;
      if (!schema?.operationId || schema.hide || !schema.summary) continue;
      const method = [route.method].flat()[0]!.toLowerCase();
      if (method === 'head') continue;
      const parameters = [
        ...parametersOf(make, 'path', schema.params, schemas),
        ...parametersOf(make, 'query', schema.querystring, schemas),
        ...parametersOf(make, 'header', schema.headers, schemas),
      ];
      const body = schema.body as z.ZodType | undefined;
      const bodySchema = body && make(body, 'input');
      const operation: Operation = {
        operationId: schema.operationId,
        summary: schema.summary,
        ...(schema.description === undefined ? {} : { description: schema.description }),
        tags: schema.tags ?? [],
        'x-lockstep-scope': config?.scope ?? 'none',
        security: config?.scope === 'public' ? [] : [{ token: [] }],
        ...(parameters.length > 0 ? { parameters } : {}),
        ...(body && bodySchema
          ? {
              requestBody: {
                required: !body.safeParse(undefined).success,
                content: Object.fromEntries(
                  (schema.consumes ?? ['application/json']).map((type) => [
                    type,
                    { schema: bodySchema, example: exampleOf(bodySchema, schemas) },
                  ]),
                ),
              },
            }
          : {}),
        responses: answersOf(route, make, schemas, responses),
      };
      const path = url.replaceAll(/:([A-Za-z_]+)/g, '{$1}');
      paths[path] = { ...paths[path], [method]: operation };
    }
    const used = new Set(Object.values(paths).flatMap((p) => Object.values(p).flatMap((o) => o.tags)));
    const document: Document = {
      openapi: '3.1.1',
      info: {
        title: 'Lockstep',
        version,
        description:
          'Compares databases, plans and applies the changes that make them agree, and proves it. Failures are RFC 9457 problems with a stable `code`; lists go on by `cursor`; values of rows are canonical text, and null is SQL NULL.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: Object.entries(tags)
        .filter(([name]) => used.has(name))
        .map(([name, description]) => ({ name, description })),
      paths,
      components: {
        schemas,
        responses,
        securitySchemes: {
          token: {
            type: 'http',
            scheme: 'bearer',
            description:
              '`Authorization: Bearer lsk_…`, made with `lockstep token create`, or a JWT where that is set up',
          },
        },
      },
    };
    for (const part of parts) await part.add(document);
    return document;
  };
};
