import { isList, isObject, type Json, type JsonObject } from './json.ts';

/** The steps from a JSON value to one inside it. */
export type Pointer = readonly string[];

const step = /\.([^.[\]'"]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]/y;

/**
 * Reads `/data/items` (a JSON pointer, RFC 6901), `$.data.items[0]['odd name']` (the plain part of JSONPath), `''` or
 * `$` (the whole), or the bare name of one member. Undefined when it is none of these.
 */
export const readPointer = (text: string): Pointer | undefined => {
  if (text === '' || text === '$' || text === '/') return [];
  if (text.startsWith('/'))
    return /~(?![01])/.test(text)
      ? undefined
      : text
          .slice(1)
          .split('/')
          .map((s) => s.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (!/^\$[.[]/.test(text)) return [text];
  const steps: string[] = [];
  step.lastIndex = 1;
  while (step.lastIndex < text.length) {
    const found = step.exec(text);
    if (found === null) return undefined;
    steps.push(found[1] ?? found[2] ?? (found[3] ?? found[4]!).replaceAll(/\\(.)/g, '$1'));
  }
  return steps;
};

/** For people. */
export const pointerText = (pointer: Pointer): string =>
  pointer.length === 0 ? 'the whole body' : `/${pointer.join('/')}`;

/** What the steps lead to; undefined where there is nothing. */
export const valueAt = (value: Json | undefined, pointer: Pointer): Json | undefined => {
  let at = value;
  for (const name of pointer) {
    if (isList(at)) at = /^\d+$/.test(name) ? at[Number(name)] : undefined;
    else if (isObject(at)) at = Object.hasOwn(at, name) ? at[name] : undefined;
    else return undefined;
  }
  return at;
};

/** A copy in which the steps lead to `inner`; objects on the way are made where there are none. */
export const withValue = (value: Json | undefined, pointer: Pointer, inner: Json): Json => {
  const [name, ...rest] = pointer;
  if (name === undefined) return inner;
  if (isList(value) && /^\d+$/.test(name)) {
    const copy = [...value];
    copy[Number(name)] = withValue(copy[Number(name)], rest, inner);
    return copy;
  }
  const members: JsonObject = isObject(value) ? value : {};
  const before = Object.hasOwn(members, name) ? members[name] : undefined;
  // By entries: a member may be called __proto__.
  const entries = Object.entries(members).filter(([n]) => n !== name);
  return Object.fromEntries([...entries, [name, withValue(before, rest, inner)]]);
};
