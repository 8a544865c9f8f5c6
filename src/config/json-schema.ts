import { z } from 'zod';
import { configSchema } from './schema.ts';

export interface JsonSchema {
  readonly description?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  /** `{}`: nothing that YAML can hold; a function, in lockstep.config.ts. */
  readonly not?: JsonSchema;
}

let made: JsonSchema | undefined;

/** The JSON Schema (draft-07, which editors understand) of lockstep.yaml, made from the one declaration. */
export const configJsonSchema = (): JsonSchema => {
  made ??= {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'lockstep.yaml',
    ...(z.toJSONSchema(configSchema, {
      target: 'draft-07',
      io: 'input',
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => {
        if (zodSchema._zod.def.type === 'custom') jsonSchema.not = {};
      },
    }) as object),
  } as JsonSchema;
  return made;
};

/** The text of `schema/lockstep.config.draft07.json`. */
export const configJsonSchemaText = (): string => `${JSON.stringify(configJsonSchema(), null, 2)}\n`;

/** The keys allowed at a path of the config, for "did you mean"; empty where any name is allowed. */
export const keysAt = (path: readonly PropertyKey[]): readonly string[] => {
  let level: readonly JsonSchema[] = expand(configJsonSchema());
  for (const step of path) {
    level = level.flatMap((schema) => {
      const next =
        typeof step === 'number'
          ? schema.items
          : (schema.properties?.[String(step)] ??
            (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined));
      return next === undefined ? [] : expand(next);
    });
  }
  return [...new Set(level.flatMap((schema) => Object.keys(schema.properties ?? {})))];
};

const expand = (schema: JsonSchema): readonly JsonSchema[] =>
  schema.anyOf === undefined ? [schema] : schema.anyOf.flatMap(expand);
