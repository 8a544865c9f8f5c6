import type { FastifyRequest } from 'fastify';
import { z } from 'zod';

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
