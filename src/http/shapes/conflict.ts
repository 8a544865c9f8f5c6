import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { conflictStates, type Conflict as Kept } from '../../model/conflicts.ts';
import { conflictTypes } from '../../model/two-way.ts';
import { shownConflict } from '../../work/two-way/shown-conflict.ts';
import { Cell, seesValues } from '../values.ts';
import { Time } from './time.ts';

const ConflictCell = z.object({
  column: z.string(),
  target_column: z.string().optional().describe('Where the target calls it otherwise'),
  disputed: z.boolean().describe('Both sides changed it, to different values'),
  base: Cell.optional().describe('What both last agreed on; left out where it is not kept'),
  source: Cell.optional(),
  target: Cell.optional(),
  result: Cell.optional().describe('What a policy chose'),
});

const Resolution = z.object({
  take: z.enum(['source', 'target', 'base']),
  cells: z.record(z.string(), Cell).nullable().describe('Given by hand, by source column'),
  by: z.string(),
  at: Time,
  why: z.string().nullable(),
});

const example = {
  id: 'c_06dq2k8v4m7x3w9pq',
  version: 1,
  sync: 'subscriptions',
  pair: 'public.subscriptions',
  key: { id: '17' },
  type: 'update_update',
  state: 'pending',
  reason: 'a person decides (syncs.subscriptions.conflict, lockstep.yaml:15)',
  policy: null,
  rows: { base: true, source: true, target: true },
  cells: [{ column: 'plan', disputed: true, base: 'pro', source: 'team', target: 'enterprise' }],
  run: 'r_06dq2k8v4m7x3w',
  found: '2026-11-21T12:00:04.120Z',
  seen: '2026-11-21T12:05:04.120Z',
  closed: null,
  closed_by: null,
  resolution: 'pending',
} as const;

export const Conflict = z
  .object({
    id: z.string(),
    version: z.number().int().describe('Grows with every change of it; the first part of its ETag'),
    sync: z.string(),
    pair: z.string(),
    key: z.record(z.string(), Cell),
    type: z.enum(conflictTypes).describe('What both sides did, the source first'),
    state: z
      .enum(conflictStates)
      .describe(
        'pending: waits for a person; decided: to be written; resolved; ruled: a policy chose; gone: nothing to decide any more',
      ),
    reason: z.string().describe('Why it waits, or why it was ruled so; empty without differences:read_values'),
    policy: z.string().nullable(),
    rows: z
      .object({ base: z.boolean(), source: z.boolean(), target: z.boolean() })
      .describe('Which rows there are: none in base: nothing was agreed'),
    cells: z.array(ConflictCell),
    run: z.string().describe('The run that found it'),
    found: Time,
    seen: Time,
    closed: Time.nullable(),
    closed_by: z.string().nullable().describe('The run that wrote what was chosen, or that saw the sides agree'),
    resolution: z
      .union([Resolution, z.literal('pending')])
      .nullable()
      .describe(
        'What a person chose; pending until then; null where a policy chose, or nothing is to be decided any more',
      ),
  })
  .meta({ id: 'Conflict', examples: [example] });

/** A conflict as this caller may see it. */
export const conflictOf = (request: FastifyRequest, kept: Kept): z.infer<typeof Conflict> => {
  const { cells, resolution, ...rest } = shownConflict(kept);
  const shown = seesValues(request);
  return {
    ...rest,
    key: { ...rest.key },
    reason: shown ? rest.reason : '',
    cells: cells.map((cell) =>
      shown
        ? { ...cell }
        : {
            column: cell.column,
            ...(cell.target_column === undefined ? {} : { target_column: cell.target_column }),
            disputed: cell.disputed,
          },
    ),
    resolution:
      resolution === null || resolution === 'pending'
        ? resolution
        : { ...resolution, cells: resolution.cells && (shown ? { ...resolution.cells } : {}) },
  };
};
