/** Anything JSON can carry. `undefined` members are left out; texts keep NUL and lone surrogates. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined };
