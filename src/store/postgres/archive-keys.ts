import { keyBytes } from '../../model/key-bytes.ts';
import type { Key } from '../../model/row.ts';
import type { ColumnType } from '../../model/schema.ts';

export interface KeyForm {
  readonly keyTypes: readonly ColumnType[];
  readonly integerKey: boolean;
}

const isInteger = /^-?\d+$/;

/** The integer that an archive of integer keys knows a key by; undefined: its bytes. */
export const integerOf = ({ integerKey }: KeyForm, [cell]: Key): string | undefined =>
  integerKey && cell != null && isInteger.test(cell) ? cell : undefined;

/** How an archive knows keys: by an integer, or as bytes. */
export const archiveKeys = (
  form: KeyForm,
  keys: readonly Key[],
): { readonly integers: readonly string[]; readonly bytes: readonly Buffer[] } => {
  const integers: string[] = [];
  const bytes: Buffer[] = [];
  for (const key of keys) {
    const k = integerOf(form, key);
    if (k === undefined) bytes.push(keyBytes(form.keyTypes, key));
    else integers.push(k);
  }
  return { integers, bytes };
};
