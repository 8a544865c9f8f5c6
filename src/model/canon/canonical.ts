import type { Text } from '../row.ts';
import type { ColumnType } from '../schema.ts';
import { boolText } from './bool.ts';
import { bytesText } from './bytes.ts';
import { dateText } from './date.ts';
import { decimalText } from './decimal.ts';
import { floatText } from './float.ts';
import { intText } from './int.ts';
import { jsonText } from './json.ts';
import { isMisfit, misfit } from './misfit.ts';
import { withoutPadding } from './text.ts';
import { timeText } from './time.ts';
import { instantText, timestampText } from './timestamp.ts';
import { uuidText } from './uuid.ts';

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
 *
 * A limit of the column (int bits, precision, length, labels) is not a limit of the reading: see `fit.ts`.
 */
export const canonical = (type: ColumnType, raw: string): Text => {
  if (isMisfit(raw as Text)) return raw as Text;
  const text = readText(type, raw);
  return text === undefined ? misfit('t', raw) : (text as Text);
};

/** Like `canonical`, with undefined for what the type cannot read. `raw` is not a misfit. */
export const readText = (type: ColumnType, raw: string): string | undefined => {
  switch (type.kind) {
    case 'text':
      return type.padded ? withoutPadding(raw) : raw;
    case 'enum':
    case 'interval':
    case 'opaque':
      return raw;
    case 'int':
      return intText(raw);
    case 'decimal':
      return decimalText(raw);
    case 'float':
      return floatText(raw, type.bits);
    case 'bool':
      return boolText(raw);
    case 'bytes':
      return bytesText(raw);
    case 'uuid':
      return uuidText(raw);
    case 'date':
      return dateText(raw);
    case 'time':
      return timeText(raw);
    case 'timestamp':
      return timestampText(raw);
    case 'instant':
      return instantText(raw);
    case 'json':
      return jsonText(raw);
    case 'bit':
      return /^[01]*$/.test(raw) ? raw : undefined;
  }
};
