/**
 * JSON in which every number keeps the digits it was written with: an integer beyond 2^53 or a decimal never passes
 * through a double. Numbers are the raw values of the language's own JSON (ECMAScript, "JSON.parse source text access").
 */
export interface JsonNumber {
  readonly rawJSON: string;
}
export type Json = null | boolean | string | JsonNumber | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

/** What the language has and its type declarations do not know yet. */
const exact = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): Json;
  rawJSON(text: string): JsonNumber;
  isRawJSON(value: unknown): value is JsonNumber;
};

/** Throws SyntaxError, or RangeError when it is nested too deeply. */
export const parseJson = (text: string): Json =>
  exact.parse(text, (_, value, { source }) => (typeof value === 'number' ? exact.rawJSON(source!) : value));

/** Without white space, numbers as they were written. */
export const jsonOf = (value: Json): string => JSON.stringify(value);

export const jsonNumber = (digits: string): JsonNumber => exact.rawJSON(digits);
export const isNumber = (value: unknown): value is JsonNumber => exact.isRawJSON(value);
export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isNumber(value);
export const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

/** A text, number or flag as it stands in an address; undefined for anything else. */
export const scalarText = (value: Json | undefined): string | undefined =>
  typeof value === 'string'
    ? value
    : typeof value === 'boolean'
      ? String(value)
      : isNumber(value)
        ? value.rawJSON
        : undefined;
