/** JSON Schema 2020-12, as far as it is made here. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly contentEncoding?: string;
}

/** The component that a reference names. */
export const resolved = (schema: JsonSchema, components: Readonly<Record<string, JsonSchema>>): JsonSchema =>
  schema.$ref === undefined ? schema : (components[schema.$ref.split('/').at(-1)!] ?? {});

/** An example that fits the schema: its own first one, or one made of those of its parts. `status`: of a problem. */
export const exampleOf = (
  given: JsonSchema,
  components: Readonly<Record<string, JsonSchema>>,
  status?: number,
): unknown => {
  const schema = resolved(given, components);
  const own = schema.examples?.[0];
  if (own !== undefined) {
    const isProblem = given.$ref?.endsWith('/Problem') && status !== undefined;
    return isProblem ? { ...(own as object), ...problemExamples[status], status } : own;
  }
  if (schema.const !== undefined) return schema.const;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum !== undefined) return schema.enum[0];
  const some = schema.anyOf?.[0] ?? schema.oneOf?.[0];
  if (some !== undefined) return exampleOf(some, components);
  switch (typeof schema.type === 'string' ? schema.type : schema.type?.[0]) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, of]) => [name, exampleOf(of, components)]),
      );
    case 'array':
      return schema.items === undefined ? [] : [exampleOf(schema.items, components)];
    case 'integer':
    case 'number':
      return Math.max(schema.minimum ?? 0, 1);
    case 'boolean':
      return false;
    case 'string':
      return schema.format === 'date-time' ? '2026-11-21T12:00:00.000Z' : 'text';
    default:
      return null;
  }
};

const problem = (code: string, title: string, detail: string) => ({
  type: `/docs/errors#${code}`,
  code,
  title,
  detail,
});

/** What a problem of each status looks like. */
const problemExamples: Readonly<Record<number, object>> = {
  400: problem('PARAMETER', 'A parameter is wrong', '/query: there is no parameter colour'),
  401: problem('UNAUTHENTICATED', 'Who asks is not known', 'this needs a token'),
  403: problem('FORBIDDEN', 'A scope is missing', 'token:ci does not hold the scope plans:apply'),
  404: problem('NOT_FOUND', 'There is no such thing', 'There is no run r_06dq2k8v4m7x3w.'),
  406: problem('NOT_ACCEPTABLE', 'No accepted form of it can be given', 'It can be given as application/json.'),
  409: problem('CONFLICT', 'Its state does not allow this', 'run r_06dq2k8v4m7x3w has ended'),
  410: problem('PLAN_EXPIRED', 'The plan has expired', 'Plan p_06dq2k8v4m7x3w expired at 2026-11-21T12:00:00.000Z.'),
  412: problem('PRECONDITION_FAILED', 'It has changed since you read it', 'If-Match is not the hash of the plan.'),
  413: problem('TOO_LARGE', 'The request is too large', 'Request body is too large'),
  415: problem('MEDIA_TYPE', 'The media type of the request is not understood', 'Unsupported Media Type'),
  422: problem('BODY', 'The request means nothing here', '/kind: Invalid input'),
  428: problem(
    'PRECONDITION_REQUIRED',
    'If-Match is required',
    'This needs If-Match with the ETag of what you have seen.',
  ),
  429: problem('RATE_LIMITED', 'Too many requests', 'more than 600 requests in a minute'),
  500: problem('INTERNAL', 'A defect of Lockstep', 'This is a defect. The log of the server says more.'),
  502: problem('CONNECT', 'A database cannot be reached', 'crm: connection refused'),
  503: problem('CIRCUIT_OPEN', 'An endpoint failed too often: it is left alone for a while', 'circuit breaker is open'),
  504: problem('TIMEOUT', 'It took too long', 'It took longer than 30 s, and was stopped.'),
};
