import { decimalText } from './decimal.ts';

const canonicalForm = /^(?:0|-?[1-9][0-9]{0,18})$/;

/** Greatest magnitudes: positive, negative. */
const limits = {
  16: ['32767', '32768'],
  32: ['2147483647', '2147483648'],
  64: ['9223372036854775807', '9223372036854775808'],
} as const;

/** Whether a canonical integer is in the range of `bits`. */
export const intFits = (text: string, bits: 16 | 32 | 64): boolean => {
  const negative = text.charCodeAt(0) === 45;
  const limit = limits[bits][negative ? 1 : 0];
  const length = negative ? text.length - 1 : text.length;
  if (length !== limit.length) return length < limit.length;
  return (negative ? text.slice(1) : text) <= limit;
};

/**
 * Canonical integer of 64 bits; a number without fraction in any notation is read (`1.0`, `1e3`), everything else
 * gives undefined. A narrower range is the column's matter, not the value's.
 */
export const intText = (raw: string): string | undefined => {
  let text: string | undefined = raw;
  if (!canonicalForm.test(raw)) {
    text = decimalText(raw);
    if (text === undefined || !canonicalForm.test(text)) return undefined;
  }
  return text.length < 19 || intFits(text, 64) ? text : undefined;
};
