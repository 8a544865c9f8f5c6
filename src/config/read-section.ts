import { resolve } from 'node:path';
import type { ConfigDocument } from './places.ts';
import { resolveReferences, type Surroundings } from './references.ts';
import type { ReadSection } from './server.ts';
import { parseDuration } from './units.ts';
import { configError } from './validate.ts';

/** Reads the values of a top-level section: references are looked up, and mistakes are told at their place. */
export const readSection = (section: string, document: ConfigDocument, around: Surroundings): ReadSection => {
  const full = (path: readonly PropertyKey[]): readonly PropertyKey[] => [section, ...path];
  const lookUp = (value: unknown, path: readonly PropertyKey[]): unknown =>
    resolveReferences(value, full(path), document, around);
  const wrong: ReadSection['wrong'] = (path, what, hint) =>
    configError(document, full(path), `${full(path).map(String).join('.')}: ${what}`, { hint });
  const text: ReadSection['text'] = (value, path) => {
    const found = String(lookUp(value, path));
    if (found.trim() !== '') return found;
    throw wrong(path, 'is empty', 'Give a value, or leave the setting out.');
  };
  return {
    text,
    number: (value, path, least) => {
      const number = Number(lookUp(value, path));
      if (Number.isInteger(number) && number >= least) return number;
      throw wrong(path, `expected a whole number, at least ${least}`, 'Check what the reference leads to.');
    },
    duration: (value, path) => {
      const ms = parseDuration(String(lookUp(value, path)));
      if (ms !== undefined) return ms;
      throw wrong(path, 'expected a duration', 'Write 500ms, 5s, 2m or 1h.');
    },
    flag: (value, path) => {
      const flag = String(lookUp(value, path));
      if (flag === 'true' || flag === 'false') return flag === 'true';
      throw wrong(path, 'expected true or false', 'Check what the reference leads to.');
    },
    file: (value, path) => resolve(around.baseDir, text(value, path)),
    wrong,
  };
};
