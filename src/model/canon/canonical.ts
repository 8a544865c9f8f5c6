import type { Text } from '../row.ts';
import type { ColumnType } from '../schema.ts';

/**
 * Reads any reasonable text of a value of `type` (as SQLite, an API or a person writes it) into its canonical text;
 * what cannot be read becomes a text misfit. Canonical forms (one per value):
 *
 *   bool `true`/`false` · int digits · decimal plain, no exponent, no trailing zeros, no -0, `NaN`, `Infinity`, `-Infinity`
 *   float shortest decimal as JavaScript prints it (`0.1`, `1e+23`), `NaN`, `Infinity`, `-Infinity`, -0 is `0`;
 *     32-bit floats widened exactly first · text, enum, bit as stored (padded text loses trailing U+0020)
 *   bytes lower-case hex · uuid lower-case 8-4-4-4-12 · date `YYYY-MM-DD` (` BC`, `infinity`, `-infinity`)
 *   time `HH:MM:SS[.f]` without trailing zeros · timestamp date, blank, time · instant the same in UTC, no suffix
 *   json: no white space, keys in UTF-8 byte order, last duplicate wins, numbers as decimal, strings as JSON.stringify
 *   interval, opaque: the database's own text
 */
export const canonical = (_type: ColumnType, _raw: string): Text => {
  throw new Error('not written yet');
};
