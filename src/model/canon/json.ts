import { plain, scientific } from './decimal.ts';
import { compareTexts } from './text.ts';

/**
 * Canonical JSON: no white space, keys in UTF-8 byte order, the last of duplicate keys, strings as JSON.stringify writes
 * them, numbers in decimal without loss. A number that would need more than `maxZeros` zeros written out keeps an
 * exponent (`12e5000`), so that `1e1000000000` costs nothing. Nesting is bounded by memory only, not by the stack.
 */
const maxZeros = 400;

const numberText = (raw: string): string => {
  const n = scientific(raw)!;
  if (n.digits === '') return '0';
  const exponent = Number(n.exponent);
  const zeros = exponent >= 0 ? exponent : -exponent - n.digits.length;
  return zeros <= maxZeros ? plain(n) : `${n.negative ? '-' : ''}${n.digits}e${n.exponent}`;
};

const canonicalInteger = /^(?:0|-?[1-9][0-9]*)$/;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const simpleString = /"[^"\\\u0000-\u001f]*"/y;
const anyString = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const blank = /[ \t\n\r]*/y;

/** An open array (`entries` undefined) or object; `text` is what has been written of an array. */
interface Frame {
  text: string;
  count: number;
  readonly entries: Map<string, string> | undefined;
  key: string;
}

const closed = (frame: Frame): string => {
  if (frame.entries === undefined) return `${frame.text}]`;
  const keys = [...frame.entries.keys()];
  for (let i = 1; i < keys.length; i++)
    if (compareTexts(keys[i - 1]!, keys[i]!) > 0) {
      keys.sort(compareTexts);
      break;
    }
  let text = '{';
  for (const key of keys) text += `${text.length === 1 ? '' : ','}${JSON.stringify(key)}:${frame.entries.get(key)!}`;
  return `${text}}`;
};

/** Canonical form of a JSON text (RFC 8259); undefined when it is none. */
export const jsonText = (raw: string): string | undefined => {
  // A lone surrogate here is a byte that is not UTF-8; inside a string it would look like the escape \udcXX.
  if (!raw.isWellFormed()) return undefined;
  const stack: Frame[] = [];
  let at = 0;

  const skip = (): void => {
    const c = raw.charCodeAt(at);
    if (c > 32 || Number.isNaN(c)) return;
    blank.lastIndex = at;
    blank.test(raw);
    at = blank.lastIndex;
  };
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    if (!pattern.test(raw)) return undefined;
    const text = raw.slice(at, pattern.lastIndex);
    at = pattern.lastIndex;
    return text;
  };
  const string = (): string | undefined => {
    const simple = take(simpleString);
    if (simple !== undefined) return simple;
    const text = take(anyString);
    return text === undefined ? undefined : JSON.stringify(JSON.parse(text));
  };
  const scalar = (): string | undefined => {
    const c = raw.charCodeAt(at);
    if (c === 34) return string();
    for (const word of c === 116 ? ['true'] : c === 102 ? ['false'] : c === 110 ? ['null'] : [])
      if (raw.startsWith(word, at)) {
        at += word.length;
        return word;
      }
    const digits = take(number);
    return digits === undefined || (digits.length <= maxZeros && canonicalInteger.test(digits))
      ? digits
      : numberText(digits);
  };
  /** The key of an object's next member, up to its value. */
  const member = (frame: Frame): boolean => {
    skip();
    const key = string();
    if (key === undefined) return false;
    skip();
    if (raw.charCodeAt(at) !== 58) return false;
    at++;
    frame.key = JSON.parse(key) as string;
    return true;
  };

  for (;;) {
    skip();
    const c = raw.charCodeAt(at);
    let value: string | undefined;
    if (c === 91 || c === 123) {
      at++;
      const frame: Frame = { text: '[', count: 0, entries: c === 123 ? new Map() : undefined, key: '' };
      skip();
      if (raw.charCodeAt(at) === c + 2) {
        at++;
        value = closed(frame);
      } else {
        stack.push(frame);
        if (c === 123 && !member(frame)) return undefined;
        continue;
      }
    } else value = scalar();
    if (value === undefined) return undefined;

    // The value is complete: it belongs to the innermost open frame, and may complete that one too.
    for (;;) {
      const frame = stack.at(-1);
      skip();
      if (frame === undefined) return at === raw.length ? value : undefined;
      if (frame.entries === undefined) frame.text += frame.count++ === 0 ? value : `,${value}`;
      else frame.entries.set(frame.key, value);
      const next = raw.charCodeAt(at++);
      if (next === 44) {
        if (frame.entries !== undefined && !member(frame)) return undefined;
        break;
      }
      if (next !== (frame.entries === undefined ? 93 : 125)) return undefined;
      stack.pop();
      value = closed(frame);
    }
  }
};
