import type { Concealment } from '../model/canon/concealed.ts';
import type { ReadSection } from './server.ts';
import type { WrittenColumnStore, WrittenStored } from './stored-schema.ts';

export interface StoredSettings {
  /** Undefined: the environment's, else nothing is encrypted. */
  readonly key: string | undefined;
  readonly previous: readonly string[];
}

/** Keys of stored values, looked up now; `secret` is told each. */
export const storedOf = (
  written: WrittenStored | undefined,
  read: ReadSection,
  secret: (value: string) => void,
): StoredSettings => {
  const key = written?.key === undefined ? undefined : read.text(written.key, ['key']);
  const previous = written?.previous?.map((value, i) => read.text(value, ['previous', i])) ?? [];
  for (const value of [key, ...previous]) if (value !== undefined) secret(value);
  return { key, previous };
};

/** Columns whose values are neither shown nor kept in clear. */
export const concealedOf = (
  columns: Readonly<Record<string, { readonly store?: WrittenColumnStore | undefined } | null>> | undefined,
): { readonly concealed?: Readonly<Record<string, Concealment>> } => {
  const concealed = Object.entries(columns ?? {}).flatMap(([name, c]): [string, Concealment][] =>
    c?.store === undefined || c.store === 'plain' ? [] : [[name, c.store]],
  );
  return concealed.length === 0 ? {} : { concealed: Object.fromEntries(concealed) };
};
