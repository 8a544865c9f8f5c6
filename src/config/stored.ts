import type { ReadSection } from './server.ts';
import type { WrittenStored } from './stored-schema.ts';

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
