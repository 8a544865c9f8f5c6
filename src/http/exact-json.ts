import type { FastifyInstance } from 'fastify';
import { HttpProblem } from './errors.ts';

/** A number of JSON that a double does not hold, as it was written. */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

const isExact = (value: number, source: string): boolean => {
  const shown = String(value);
  return shown === source || (Number.isFinite(value) && plain(shown) === plain(source));
};

/** Digits and exponent of a number, however it is written. */
const plain = (text: string): string => {
  const m = /^(-?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text);
  if (!m) return text;
  const digits = (m[2]! + m[3]!).replace(/^0+/, '');
  const trimmed = digits.replace(/0+$/, '');
  if (trimmed === '') return '0';
  return `${m[1]}${trimmed}e${Number(m[4] ?? 0) - m[3]!.length + digits.length - trimmed.length}`;
};

/** JSON in which every number keeps its digits: those that a double would change become `rawJSON` objects. */
export const parseExactly = (text: string): unknown =>
  JSON.parse(text, ((_key: string, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' && context?.source !== undefined && !isExact(value, context.source)
      ? rawJson(context.source)
      : value) as (key: string, value: unknown) => unknown);

/** Lets the routes of this scope read bodies digit by digit. */
export const readExactly = (app: FastifyInstance): void => {
  const types = ['application/json', 'application/merge-patch+json'];
  app.removeContentTypeParser(types);
  app.addContentTypeParser(types, { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, parseExactly(text as string));
    } catch {
      done(new HttpProblem('MALFORMED', 'the body is no JSON') as unknown as Error, undefined);
    }
  });
};
