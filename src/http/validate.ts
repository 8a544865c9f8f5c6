import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { wordsOf } from './issue-words.ts';

const brand = Symbol.for('ZodFastifySchemaValidationError');

/** A path as a JSON pointer (RFC 6901). */
export const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** Checks what was sent against the route's zod schema; what comes out of the schema is what the handler gets. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema }) => {
  return (data: unknown) => {
    const result = schema.safeParse(data);
    if (result.success) return { value: result.data };
    const error = result.error.issues.map((issue) => ({
      [brand]: true,
      keyword: issue.code,
      instancePath: pointerOf(issue.path),
      schemaPath: `#${pointerOf(issue.path)}`,
      message: wordsOf(issue, data, schema),
      params: issue.code === 'unrecognized_keys' ? { keys: issue.keys } : {},
    }));
    return { error } as never;
  };
};
