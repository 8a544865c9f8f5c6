const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const OPEN_ARRAY = 91;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;
const depthMost = 200;

let source = '';
let at = 0;

/** From a quote to behind the one that ends the string. */
const skipString = (): void => {
  for (;;) {
    const c = source.charCodeAt(++at);
    if (c === QUOTE) break;
    if (c === BACKSLASH) at++;
    else if (Number.isNaN(c)) throw new RangeError('a string without end');
  }
  at++;
};

interface Member {
  /** With its quotes, as written. */
  readonly name: string;
  readonly value: string;
}

/** The name's bytes as the server has them. */
const bytesOf = (name: string): Buffer => Buffer.from(JSON.parse(name) as string, 'utf8');

const simple = /^"[ !#-[\]-~]*"$/;

/** jsonb orders the names of an object by their length in bytes, then by the bytes. */
const byLength = (a: Member, b: Member): number => {
  if (simple.test(a.name) && simple.test(b.name)) {
    return a.name.length - b.name.length || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  }
  const [x, y] = [bytesOf(a.name), bytesOf(b.name)];
  return x.length - y.length || Buffer.compare(x, y);
};

const readObject = (depth: number): string => {
  at++;
  if (source.charCodeAt(at) === CLOSE_OBJECT) {
    at++;
    return '{}';
  }
  const members: Member[] = [];
  for (;;) {
    const start = at;
    skipString();
    const name = source.slice(start, at);
    at++; // the colon
    members.push({ name, value: readValue(depth) });
    if (source.charCodeAt(at++) !== COMMA) break;
  }
  if (members.length > 1) members.sort(byLength);
  let out = `{${members[0]!.name}: ${members[0]!.value}`;
  for (let i = 1; i < members.length; i++) out += `, ${members[i]!.name}: ${members[i]!.value}`;
  return `${out}}`;
};

const readArray = (depth: number): string => {
  at++;
  if (source.charCodeAt(at) === CLOSE_ARRAY) {
    at++;
    return '[]';
  }
  let out = `[${readValue(depth)}`;
  while (source.charCodeAt(at++) === COMMA) out += `, ${readValue(depth)}`;
  return `${out}]`;
};

const readValue = (depth: number): string => {
  const c = source.charCodeAt(at);
  if (depth > depthMost) throw new RangeError('too deep');
  if (c === OPEN_OBJECT) return readObject(depth + 1);
  if (c === OPEN_ARRAY) return readArray(depth + 1);
  const start = at;
  if (c === QUOTE) skipString();
  else {
    for (;;) {
      const n = source.charCodeAt(at);
      if (n === COMMA || n === CLOSE_ARRAY || n === CLOSE_OBJECT || Number.isNaN(n)) break;
      at++;
    }
  }
  return source.slice(start, at);
};

/**
 * Canonical JSON as PostgreSQL writes the jsonb it is (`jsonb_out`): blanks after commas and colons, names by length.
 * Numbers stay canonical, so a jsonb that keeps `1.0` reads otherwise. What is nested too deep is given back as it is.
 */
export const jsonbText = (canonical: string): string => {
  const c = canonical.charCodeAt(0);
  if (c !== OPEN_OBJECT && c !== OPEN_ARRAY) return canonical;
  source = canonical;
  at = 0;
  try {
    return readValue(0);
  } catch (error) {
    if (error instanceof RangeError) return canonical;
    throw error;
  } finally {
    source = '';
  }
};
