import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { JsonValue } from '../model/json.ts';

/** May the caller see what stands in rows, or only which rows and columns? */
export const seesValues = (request: FastifyRequest): boolean => request.principal.scopes.has('differences:read_values');

/** SQL NULL is null; everything else is canonical text. */
export const Cell = z.string().nullable();

export const Values = z
  .enum(['shown', 'masked'])
  .describe('`masked`: the caller lacks `differences:read_values`, so cells name their columns only')
  .meta({ examples: ['shown'] });

export const valuesOf = (request: FastifyRequest): z.infer<typeof Values> => (seesValues(request) ? 'shown' : 'masked');

/** Cells without what stands in them, unless the caller may see it. */
export const shownCells = <T extends { readonly column: string }>(
  request: FastifyRequest,
  cells: readonly T[],
): (T | { column: string })[] => (seesValues(request) ? [...cells] : cells.map(({ column }) => ({ column })));

/** Members of reports that quote rows: examples, and regularities such as `9 of 9 are exactly 20.00`. */
const quoting = new Set(['examples', 'unfit_examples', 'patterns', 'altered', 'kept']);

const without = (value: JsonValue): JsonValue => {
  if (Array.isArray(value)) return value.map(without);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, of]) => (of === undefined || quoting.has(name) ? [] : [[name, without(of)]])),
  );
};

/** A report without what it quotes of rows, unless the caller may see that. */
export const shownReport = (request: FastifyRequest, report: JsonValue): JsonValue =>
  seesValues(request) ? report : without(report);
