import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { DifferencePair, StoredDifference } from '../../model/differences.ts';
import { shownDifference } from '../../work/shown-difference.ts';
import { Cell, shownCells } from '../values.ts';

export const differenceKinds = ['only_in_source', 'only_in_target', 'different'] as const;

export const KeyCells = z
  .record(z.string(), Cell)
  .describe('Key column (of the source) and its value; empty where rows have no key');

export const Difference = z
  .object({
    seq: z.number().int().describe('Its place in the run'),
    pair: z.string().describe('The source table'),
    kind: z.enum(differenceKinds),
    key: KeyCells,
    cells: z
      .array(z.object({ column: z.string(), source: Cell.optional(), target: Cell.optional() }))
      .describe(
        '`different`: the cells that differ; else every cell of the row that is there. Values are canonical text',
      ),
  })
  .meta({
    id: 'Difference',
    examples: [
      {
        seq: 1,
        pair: 'public.subscriptions',
        kind: 'different',
        key: { id: '17' },
        cells: [{ column: 'status', source: 'active', target: 'inactive' }],
      },
    ],
  });

export const differenceOf = (
  request: FastifyRequest,
  pair: DifferencePair,
  stored: StoredDifference,
): z.infer<typeof Difference> => {
  const shown = shownDifference({ ...pair, targetTable: { name: pair.target } }, stored.difference);
  return { seq: stored.seq, ...shown, cells: shownCells(request, shown.cells) };
};
