import type { FastifyInstance } from 'fastify';
import { HttpProblem } from './errors.ts';

/** A number of JSON that a double does not hold, as it was written. */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

const isExact = (value: number, source: string): boolean => {
  const shown = String(value);
  return shown === source || (Number.isFinite(value) && plain(shown) === plain(source));
};

/** Without the zeros at its end. An expression that begins at each zero anew takes the square of their number. */
const withoutZeros = (digits: string): string => {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 48) end--;
  return digits.slice(0, end);
};

/** Digits and exponent of a number, however it is written. */
const plain = (text: string): string => {
  const m = /^(-?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text);
  if (!m) return text;
  const digits = (m[2]! + m[3]!).replace(/^0+/, '');
  const trimmed = withoutZeros(digits);
  if (trimmed === '') return '0';
  return `${m[1]}${trimmed}e${Number(m[4] ?? 0) - m[3]!.length + digits.length - trimmed.length}`;
};

/** Characters of a number: as many as the text of a decimal may have. */
const longestNumber = 2000;

/**
 * JSON in which every number keeps its digits: those that a double would change become `rawJSON` objects. MALFORMED:
 * a number of more than 2,000 characters.
 */
export const parseExactly = (text: string): unknown =>
  JSON.parse(text, ((_key: string, value: unknown, context?: { readonly source?: string }) => {
    if (typeof value !== 'number' || context?.source === undefined) return value;
    const { source } = context;
    if (source.length > longestNumber)
      throw new HttpProblem('MALFORMED', `the body holds a number of ${source.length} characters`, {
        hint: `A number has at most ${longestNumber}.`,
      });
    return isExact(value, source) ? value : rawJson(source);
  }) as (key: string, value: unknown) => unknown);

/** Lets the routes of this scope read bodies digit by digit. */
export const readExactly = (app: FastifyInstance): void => {
  const types = ['application/json', 'application/merge-patch+json'];
  app.removeContentTypeParser(types);
  app.addContentTypeParser(types, { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, parseExactly(text as string));
    } catch (error) {
      const problem = error instanceof HttpProblem ? error : new HttpProblem('MALFORMED', 'the body is no JSON');
      done(problem as unknown as Error, undefined);
    }
  });
};
