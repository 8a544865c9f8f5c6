import { RE2JS } from 're2js';

/** A pattern that is matched in time linear in the text, whatever the pattern. */
export interface LinearPattern {
  /** Does it match anywhere in the text? Anchor it with ^ and $ to match the whole. */
  test(text: string): boolean;
}

const known = new Map<string, LinearPattern>();
/** Patterns made out of a row's own texts must not fill the memory. */
const mostKnown = 200;

/** RE2 syntax: no back-references, no look-around. Throws Error when it cannot be read. */
export const linearPattern = (pattern: string): LinearPattern => {
  const found = known.get(pattern);
  if (found) return found;
  const compiled = RE2JS.compile(pattern);
  const made: LinearPattern = { test: (text) => compiled.matcher(text).find() };
  if (known.size >= mostKnown) known.clear();
  known.set(pattern, made);
  return made;
};
