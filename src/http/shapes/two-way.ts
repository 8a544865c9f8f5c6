import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { shownCell } from '../../model/canon/show.ts';
import type { Row } from '../../model/row.ts';
import { conflictTypes } from '../../model/two-way.ts';
import type { Explained } from '../../work/explain.ts';
import { Cell, seesValues } from '../values.ts';
import { Conflict, conflictOf } from './conflict.ts';
import { Time, timeOf } from './time.ts';

const Cells = z.record(z.string(), Cell);

export const BothWays = z
  .object({
    base: z
      .object({ row: Cells.nullable(), at: Time, run: z.string() })
      .nullable()
      .describe('What both sides last agreed on, as far as its values are kept and may be seen; null: nothing'),
    conflicts: z.array(Conflict).describe('Newest first; none without conflicts:read'),
    next: z
      .object({
        kind: z.enum(['agreed', 'settled', 'both', 'waits']),
        type: z.enum(conflictTypes).nullable(),
        policy: z.string().nullable(),
        reason: z.string().nullable().describe('Null without differences:read_values'),
        row: Cells.nullable().describe('What both sides would show'),
        does_not_fit: z
          .array(z.object({ side: z.enum(['source', 'target']), reason: z.string().nullable() }))
          .describe('Sides that cannot hold it and are not written; reasons are null without differences:read_values'),
      })
      .nullable()
      .describe('What the next run would make of it, as both sides are now'),
  })
  .meta({ id: 'ExplainedBothWays' });

/** Of a sync that keeps an archive; null: it keeps none. */
export const bothWaysOf = (request: FastifyRequest, e: Explained): z.infer<typeof BothWays> | null => {
  const { twoWay } = e;
  if (twoWay === undefined) return null;
  const shown = seesValues(request);
  const row = (cells: Row | null | undefined): Record<string, string | null> | null =>
    shown && cells
      ? Object.fromEntries(e.pair.columns.map((c, i) => [c.source.name, shownCell(cells[i] ?? null, c.as)]))
      : null;
  const { base, next } = twoWay;
  const kept = (base?.source ?? []).flatMap((cell, i): [string, string | null][] => {
    const { source, as } = e.pair.columns[i]!;
    return cell !== null && typeof cell === 'object' ? [] : [[source.name, shownCell(cell, as)]];
  });
  const none = { type: null, policy: null, reason: null, row: null, does_not_fit: [] };
  const told =
    next === undefined || next.kind === 'agreed'
      ? next && { ...none, kind: next.kind }
      : next.kind === 'ask'
        ? { ...none, kind: 'waits' as const, type: next.type, reason: shown ? next.reason : null }
        : {
            kind: next.kind,
            type: next.ruling?.type ?? null,
            policy: next.ruling?.policy ?? null,
            reason: shown ? (next.ruling?.reason ?? null) : null,
            row: row(next.result),
            does_not_fit: twoWay.unfit.map(({ side, reason }) => ({ side, reason: shown ? reason : null })),
          };
  return {
    base: base ? { row: shown ? Object.fromEntries(kept) : null, at: timeOf(base.at), run: base.run } : null,
    conflicts: request.principal.scopes.has('conflicts:read')
      ? twoWay.conflicts.map((c) => conflictOf(request, c))
      : [],
    next: told ?? null,
  };
};
