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
const numberSyntax = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const stringSyntax = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN_ARRAY = 91;
const BACKSLASH = 92;
const OPEN_OBJECT = 123;

/** An open array (`keys` undefined) or object. `text` is what has been written of an array. */
interface Frame {
  text: string;
  /** Names as they are and as they are written, in the order of the text; the value of the last one may be missing. */
  readonly keys: string[] | undefined;
  readonly names: string[];
  readonly values: string[];
}

/** The text being read and the place in it: reading is synchronous, so one of each is enough. */
let source = '';
let at = 0;

const skipBlanks = (): number => {
  let c = source.charCodeAt(at);
  while (c === 32 || c === 10 || c === 13 || c === 9) c = source.charCodeAt(++at);
  return c;
};

/** A string in canonical form, quotes included. */
const readString = (): string | undefined => {
  const start = at;
  for (let i = at + 1; ; i++) {
    const c = source.charCodeAt(i);
    if (c === QUOTE) {
      at = i + 1;
      return source.slice(start, at);
    }
    if (c === BACKSLASH) break;
    // A control character, or NaN at the end of the text.
    if (!(c >= 32)) return undefined;
  }
  stringSyntax.lastIndex = start;
  if (!stringSyntax.test(source)) return undefined;
  at = stringSyntax.lastIndex;
  return JSON.stringify(JSON.parse(source.slice(start, at)));
};

const readWord = (word: string): string | undefined => {
  if (!source.startsWith(word, at)) return undefined;
  at += word.length;
  return word;
};

const readNumber = (): string | undefined => {
  numberSyntax.lastIndex = at;
  if (!numberSyntax.test(source)) return undefined;
  const text = source.slice(at, numberSyntax.lastIndex);
  at = numberSyntax.lastIndex;
  return text.length <= maxZeros && canonicalInteger.test(text) ? text : numberText(text);
};

const readScalar = (c: number): string | undefined => {
  if (c === QUOTE) return readString();
  if (c === 116) return readWord('true');
  if (c === 102) return readWord('false');
  if (c === 110) return readWord('null');
  return readNumber();
};

/** The name of an object's next member, up to its value; false when there is none. */
const readName = (frame: Frame): boolean => {
  if (skipBlanks() !== QUOTE) return false;
  const name = readString();
  if (name === undefined || skipBlanks() !== COLON) return false;
  at++;
  frame.names.push(name);
  frame.keys!.push(name.includes('\\') ? (JSON.parse(name) as string) : name.slice(1, -1));
  return true;
};

/** The finished text of an array or object. */
const close = ({ text, keys, names, values }: Frame): string => {
  if (keys === undefined) return `${text}]`;
  let inOrder = true;
  for (let i = 1; i < keys.length && inOrder; i++) inOrder = compareTexts(keys[i - 1]!, keys[i]!) < 0;
  let out = '{';
  if (inOrder) for (let i = 0; i < names.length; i++) out += `${i === 0 ? '' : ','}${names[i]!}:${values[i]!}`;
  else {
    // Stable: of equal names the last is the last in the text.
    const order = keys.map((_, i) => i).sort((i, j) => compareTexts(keys[i]!, keys[j]!));
    order.forEach((i, k) => {
      const next = order[k + 1];
      if (next === undefined || keys[next] !== keys[i])
        out += `${out.length === 1 ? '' : ','}${names[i]!}:${values[i]!}`;
    });
  }
  return `${out}}`;
};

/** Canonical form of a JSON text (RFC 8259); undefined when it is none. */
export const jsonText = (raw: string): string | undefined => {
  // A lone surrogate here is a byte that is not UTF-8; inside a string it would look like the escape \udcXX.
  if (!raw.isWellFormed()) return undefined;
  source = raw;
  at = 0;
  const text = readDocument();
  source = '';
  return text;
};

const readDocument = (): string | undefined => {
  const open: Frame[] = [];
  for (;;) {
    const c = skipBlanks();
    let value: string | undefined;
    if (c === OPEN_ARRAY || c === OPEN_OBJECT) {
      at++;
      if (skipBlanks() === c + 2) {
        at++;
        value = c === OPEN_ARRAY ? '[]' : '{}';
      } else {
        const frame: Frame = { text: '', keys: c === OPEN_OBJECT ? [] : undefined, names: [], values: [] };
        open.push(frame);
        if (c === OPEN_OBJECT && !readName(frame)) return undefined;
        continue;
      }
    } else value = readScalar(c);
    if (value === undefined) return undefined;

    // The value is complete: it belongs to the innermost open frame, and may complete that one too.
    for (;;) {
      const next = skipBlanks();
      const frame = open.at(-1);
      if (frame === undefined) return at === source.length ? value : undefined;
      if (frame.keys === undefined) frame.text = frame.text === '' ? `[${value}` : `${frame.text},${value}`;
      else frame.values.push(value);
      at++;
      if (next === COMMA) {
        if (frame.keys !== undefined && !readName(frame)) return undefined;
        break;
      }
      if (next !== (frame.keys === undefined ? OPEN_ARRAY : OPEN_OBJECT) + 2) return undefined;
      open.pop();
      value = close(frame);
    }
  }
};
