import { z } from 'zod';
import type { Sync as Configured } from '../../config/config.ts';
import { modes } from '../../config/modes.ts';
import { Paused, RunSummary } from './run.ts';
import { Time } from './time.ts';

export const Sync = z
  .object({
    name: z.string(),
    source: z.string().describe('An endpoint'),
    target: z.string().describe('An endpoint'),
    mode: z.enum(modes),
    pairs: z
      .array(z.object({ source: z.string(), target: z.string().nullable() }))
      .nullable()
      .describe('null: all tables of the default schemas'),
    guards: z.object({
      max_changes: z.number().int(),
      max_change_ratio: z.number().nullable(),
      max_deletes: z.number().int(),
      empty_source: z.enum(['stop', 'keep']),
    }),
    incremental: z.boolean(),
    differences_shown: z.boolean().describe('`/differences` shows the current state: `differences: { sql: true }`'),
    paused: Paused.nullable(),
  })
  .meta({
    id: 'Sync',
    examples: [
      {
        name: 'subscriptions',
        source: 'billing',
        target: 'crm',
        mode: 'mirror',
        pairs: [{ source: 'public.subscriptions', target: 'sales.subscription' }],
        guards: { max_changes: 500, max_change_ratio: 0.01, max_deletes: 0, empty_source: 'stop' },
        incremental: false,
        differences_shown: true,
        paused: null,
      },
    ],
  });

export const SyncStatus = z
  .object({
    sync: z.string(),
    verdict: z.string().nullable().describe('Of the last comparison that ended: agrees, differs or incomplete'),
    as_of: Time.nullable().describe('When it ended'),
    age_seconds: z.number().nullable(),
    differences: z
      .object({ new: z.number().int(), modified: z.number().int(), deleted: z.number().int(), as_of: Time })
      .nullable()
      .describe('null: the sync does not show its differences'),
    paused: Paused.nullable(),
    awaits_approval: z
      .object({ plan: z.string(), run: z.string(), required: z.number().int(), since: Time, expires: Time })
      .nullable()
      .describe('A plan that is applied when enough have agreed; until then its schedule waits'),
    running: z.array(RunSummary),
    queued: z.array(RunSummary),
    last_run: RunSummary.nullable().describe('The last one that ended'),
    next_run: Time.nullable().describe('When its schedule starts it next'),
    quarantined: z.number().int(),
  })
  .meta({
    id: 'SyncStatus',
    examples: [
      {
        sync: 'subscriptions',
        verdict: 'agrees',
        as_of: '2026-11-21T12:00:04.120Z',
        age_seconds: 12.5,
        differences: { new: 0, modified: 0, deleted: 0, as_of: '2026-11-21T12:00:04.120Z' },
        paused: null,
        awaits_approval: null,
        running: [],
        queued: [],
        last_run: null,
        next_run: '2026-11-21T12:05:00.000Z',
        quarantined: 0,
      },
    ],
  });

export const syncOf = (
  sync: Configured,
  paused: { readonly by: string; readonly since: string } | null,
): z.infer<typeof Sync> => ({
  name: sync.name,
  source: sync.source,
  target: sync.target,
  mode: sync.mode,
  pairs: sync.pairs?.map(({ source, target }) => ({ source, target: target ?? null })) ?? null,
  guards: {
    max_changes: sync.guards.maxChanges,
    max_change_ratio: sync.guards.maxChangeRatio,
    max_deletes: sync.guards.maxDeletes,
    empty_source: sync.guards.emptySource,
  },
  incremental: sync.incremental !== undefined,
  differences_shown: sync.differences !== undefined,
  paused,
});
