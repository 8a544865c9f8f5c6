import { mayAccess } from '../access/may-access.ts';
import type { ColumnType } from '../model/schema.ts';
import type { Entity, Field } from '../records/entity.ts';
import type { Addition, Answer, Document, Operation, Parameter } from './openapi.ts';
import { exampleOf, type JsonSchema } from './openapi-example.ts';
import type { RecordRoutes } from './record-routes.ts';

/** A database that does not answer must not keep the document from being read. */
const patienceMs = 3000;

const text = (format: string, example: string, pattern?: string): JsonSchema => ({
  type: 'string',
  format,
  ...(pattern === undefined ? {} : { pattern }),
  examples: [example],
});

/** What a column's values are in JSON. */
const typeSchema = (type: ColumnType): JsonSchema => {
  switch (type.kind) {
    case 'bool':
      return { type: 'boolean', examples: [true] };
    case 'int': {
      if (type.bits === 64) return text('int64', '17', '^-?\\d+$');
      const most = 2 ** (type.bits - 1);
      return { type: 'integer', minimum: -most, maximum: most - 1, examples: [17] };
    }
    case 'decimal':
      return text('decimal', '19.99', type.special ? '^(-?\\d+(\\.\\d+)?|NaN|-?Infinity)$' : '^-?\\d+(\\.\\d+)?$');
    case 'float':
      return { type: ['number', 'string'], description: 'NaN and infinities are strings.', examples: [0.5] };
    case 'date':
      return text('date', '2026-01-31');
    case 'time':
      return text('time', '13:45:00');
    case 'timestamp':
      return text('local-date-time', '2026-01-31T13:45:00');
    case 'instant':
      return text('date-time', '2026-01-31T13:45:00Z');
    case 'uuid':
      return text('uuid', '018f4e2a-6f0c-7c3e-9b1a-2f6f6a0c1d2e');
    case 'bytes':
      return { type: 'string', contentEncoding: 'base64', examples: ['AP8='] };
    case 'json':
      return { description: 'Any JSON', examples: [{}] };
    case 'enum':
      return { type: 'string', enum: type.labels };
    case 'text':
      return {
        type: 'string',
        ...(type.maxLength === undefined ? {} : { maxLength: type.maxLength }),
        examples: ['text'.slice(0, type.maxLength ?? 4)],
      };
    default:
      return { type: 'string', examples: ['text'] };
  }
};

const orNull = (schema: JsonSchema): JsonSchema => {
  const { type } = schema;
  if (type === undefined) return schema;
  const types = typeof type === 'string' ? [type] : type;
  return {
    ...schema,
    type: [...types, 'null'],
    ...(schema.enum === undefined ? {} : { enum: [...schema.enum, null] }),
  };
};

const fieldSchema = (f: Field): JsonSchema => {
  // what a database does not enforce may be of another type
  const own = f.column.loose ? { description: 'What does not fit the column is its text.' } : typeSchema(f.column.type);
  const masked = f.unless !== undefined;
  const notes = [
    own.description,
    masked ? `null without the scope ${f.unless}` : undefined,
    f.column.generated === 'always' ? 'computed' : undefined,
  ];
  const said = notes.filter((note) => note !== undefined).join('; ');
  const { description: _, ...rest } = own;
  const made: JsonSchema = { ...rest, ...(said === '' ? {} : { description: said }) };
  return f.column.nullable || masked ? orNull(made) : made;
};

const objectOf = (fields: readonly Field[], required: (f: Field) => boolean): JsonSchema => ({
  type: 'object',
  properties: Object.fromEntries(fields.map((f) => [f.name, fieldSchema(f)])),
  required: fields.filter(required).map((f) => f.name),
});

const parameter = (
  name: string,
  where: Parameter['in'],
  description: string,
  more: Partial<Parameter> = {},
): Parameter => ({
  name,
  in: where,
  required: where === 'path',
  description,
  schema: { type: 'string' },
  ...more,
});

const listParameters = (e: Entity): readonly Parameter[] => {
  const sorted = [...e.fields.values()].filter((f) => f.sorted).map((f) => f.name);
  return [
    parameter('limit', 'query', 'How many at most', {
      schema: { type: 'integer', minimum: 1, default: Math.min(50, e.config.maxPage) },
      example: 50,
    }),
    parameter('cursor', 'query', '`next_cursor` of the page before, with the same filters and sort'),
    parameter('sort', 'query', `Columns, with - for descending: ${sorted.join(', ')}`),
    parameter('fields', 'query', 'Columns to show, with commas; default: all'),
    ...[...e.fields.values()]
      .filter((f) => f.filtered)
      .map((f) =>
        parameter(
          f.name,
          'query',
          `A condition: ${f.column.type.kind === 'text' ? 'eq, ne, gt, gte, lt, lte, in.(a,b), like.ab*' : 'eq, ne, gt, gte, lt, lte, in.(a,b)'}, is.null, is.not_null${f.unless === undefined ? '' : `; needs the scope ${f.unless}`}`,
        ),
      ),
    parameter('Prefer', 'header', '`count=exact` or `count=estimated`: how many there are in all'),
  ];
};

/** The operation of the general path, made one of this entity. */
const special = (
  document: Document,
  of: Operation,
  e: Entity,
  o: {
    readonly id: string;
    readonly summary: string;
    readonly parameters?: readonly Parameter[];
    readonly answers: Readonly<Record<string, JsonSchema>>;
    readonly body?: { readonly type: string; readonly schema: JsonSchema };
  },
): Operation => {
  const { schemas } = document.components;
  const kept = (of.parameters ?? []).filter((p) => p.name !== 'entity' && p.name !== 'key' && p.name !== 'Prefer');
  const answers = Object.fromEntries(
    Object.entries(of.responses).map(([status, answer]) => {
      const schema = o.answers[status];
      if (schema === undefined) return [status, answer];
      const content = { 'application/json': { schema, example: exampleOf(schema, schemas) } };
      return [status, { ...(answer as Answer), content }];
    }),
  );
  const parameters = [...(o.parameters ?? []), ...kept];
  return {
    ...of,
    operationId: o.id,
    summary: o.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(o.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { [o.body.type]: { schema: o.body.schema, example: exampleOf(o.body.schema, schemas) } },
          },
        }),
    responses: answers,
    tags: [`records: ${e.config.name}`],
  };
};

/** What the general list says of its page. */
const pageOf = (list: Operation): JsonSchema =>
  (list.responses['200'] as Answer).content!['application/json']!.schema.properties!['page']!;

const documentEntity = (document: Document, e: Entity): void => {
  const { paths, components } = document;
  const { name } = e.config;
  const list = paths['/api/v1/records/{entity}']!;
  const single = paths['/api/v1/records/{entity}/{key}']!;
  const component = `Record_${name}`;
  components.schemas[component] = objectOf(e.shown, () => true);
  const record: JsonSchema = { $ref: `#/components/schemas/${component}` };
  const page: JsonSchema = {
    type: 'object',
    properties: { data: { type: 'array', items: record }, page: pageOf(list['get']!) },
    required: ['data', 'page'],
  };
  const keyed = parameter('key', 'path', e.key.map((f) => f.name).join(', with a comma '), {
    example: e.key.map((f) => String(exampleOf(fieldSchema(f), {}))).join(','),
  });
  const fields = parameter('fields', 'query', 'Columns to show, with commas; default: all');
  const all = [...e.fields.values()];
  const required = (f: Field): boolean => {
    const { nullable, hasDefault, serial, generated } = f.column;
    return !nullable && !hasDefault && !serial && generated === undefined;
  };
  const filled = new Set(e.config.rowFilter.map((t) => t.column));
  const creatable = all.filter((f) => f.created && !filled.has(f.name));
  document.tags = [...document.tags, { name: `records: ${name}`, description: `Rows of ${e.config.table}` }];
  paths[`/api/v1/records/${name}`] = {
    get: special(document, list['get']!, e, {
      id: `list_${name}`,
      summary: `List ${name}`,
      parameters: listParameters(e),
      answers: { 200: page },
    }),
    ...(e.create
      ? {
          post: special(document, list['post']!, e, {
            id: `create_${name}`,
            summary: `A new record of ${name}`,
            answers: { 201: record },
            body: { type: 'application/json', schema: objectOf(creatable, required) },
          }),
        }
      : {}),
  };
  paths[`/api/v1/records/${name}/{key}`] = {
    get: special(document, single['get']!, e, {
      id: `get_${name}`,
      summary: `One record of ${name}`,
      parameters: [keyed, fields],
      answers: { 200: record },
    }),
    ...(e.update
      ? {
          patch: special(document, single['patch']!, e, {
            id: `update_${name}`,
            summary: `Change a record of ${name}`,
            parameters: [keyed],
            answers: { 200: record },
            body: {
              type: 'application/merge-patch+json',
              schema: objectOf(
                all.filter((f) => f.updated),
                () => false,
              ),
            },
          }),
        }
      : {}),
    ...(e.delete
      ? {
          delete: special(document, single['delete']!, e, {
            id: `delete_${name}`,
            summary: `Delete a record of ${name}`,
            parameters: [keyed],
            answers: {},
          }),
        }
      : {}),
  };
  for (const [i, alias] of e.config.aliases.entries()) {
    const given = [...alias.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!);
    paths[`/api/v1${alias}`] = {
      get: special(document, list['get']!, e, {
        id: `list_${name}_by_alias_${i + 1}`,
        summary: `Records of ${name}, by their path`,
        parameters: [
          ...given.map((column) =>
            parameter(column, 'path', 'Its value', {
              example: String(exampleOf(fieldSchema(e.fields.get(column)!), {})),
            }),
          ),
          ...listParameters(e).filter((p) => !given.includes(p.name)),
        ],
        answers: { 200: page },
      }),
    };
  }
};

/**
 * Adds the entities that the caller may read, with the types of their tables; one whose database does not answer is left
 * out. Nobody who is not known is told of any.
 */
export const documentRecords =
  (x: RecordRoutes): Addition =>
  (caller) => {
    if (!caller?.scopes.has('records:read')) return undefined;
    const { records } = x.api.config();
    const names = Object.keys(records).filter((name) => mayAccess(caller, { record: name }));
    if (names.length === 0) return undefined;
    return {
      from: records,
      names,
      add: async (document) => {
        const signal = AbortSignal.any([x.api.signal, AbortSignal.timeout(patienceMs)]);
        const entities = await Promise.all(names.map((name) => x.entities.of(name, { signal }).catch(() => undefined)));
        for (const entity of entities) if (entity !== undefined) documentEntity(document, entity);
      },
    };
  };
