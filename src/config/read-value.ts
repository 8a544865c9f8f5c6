import type { ConfigDocument } from './places.ts';
import { resolveReferences, type Surroundings } from './references.ts';
import { parseDuration, parseShare } from './units.ts';
import { configError } from './validate.ts';

/** Where a value stands in the file. */
export type Path = readonly PropertyKey[];

/** Everything that turning the written form into the used form needs to know. */
export interface Reading {
  readonly document: ConfigDocument;
  readonly around: Surroundings;
}

/** A number that may be written as a reference; throws CONFIG at its place when what it refers to is no number. */
export const numberAt = (r: Reading, value: unknown, path: Path, least: number): number => {
  const text = resolveReferences(value, path, r.document, r.around);
  const number = typeof text === 'number' ? text : Number(text);
  if (Number.isInteger(number) && number >= least && String(text).trim() !== '') return number;
  throw configError(r.document, path, `${path.map(String).join('.')}: expected a whole number, at least ${least}`);
};

/** A duration that may be written as a reference, milliseconds; throws CONFIG at its place. */
export const durationAt = (r: Reading, value: string | 0, path: Path): number => {
  const ms = parseDuration(resolveReferences(value, path, r.document, r.around) as string);
  if (ms !== undefined) return ms;
  throw configError(r.document, path, `${path.map(String).join('.')}: expected a duration such as 500ms, 5s or 2m`);
};

/** True or false, which may be written as a reference; throws CONFIG at its place. */
export const flagAt = (r: Reading, value: unknown, path: Path): boolean => {
  const flag = resolveReferences(value, path, r.document, r.around);
  if (flag === true || flag === 'true') return true;
  if (flag === false || flag === 'false') return false;
  throw configError(r.document, path, `${path.map(String).join('.')}: expected true or false`);
};

/** The line of a key, from 1. */
export const lineOf = (r: Reading, path: Path): number | undefined => r.document.place(path, 'key')?.line;

/** `1%` or `0.01`, 0 to 1; throws CONFIG at its place. */
export const shareAt = (r: Reading, value: string | number, path: Path): number => {
  const share = parseShare(value);
  if (share !== undefined) return share;
  throw configError(r.document, path, `${path.map(String).join('.')}: expected a percentage from 0% to 100%`);
};
