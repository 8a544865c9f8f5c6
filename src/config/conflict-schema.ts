import { z } from 'zod';
import type { PolicyFunction } from '../model/policy.ts';
import { durationPattern } from './units.ts';

/** How conflicts are settled, as written. `conflict.ts` turns it into what the program uses. */

const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });
const number = z.number({ error: 'expected a value' }).refine((n) => !Number.isInteger(n) || Number.isSafeInteger(n), {
  error: 'is larger than a number of YAML holds exactly: quote it',
});
const literal = z.union([z.string(), number, z.boolean(), z.null()], {
  error: 'expected a text, a number, true, false or null',
});
const scalar = z.union([z.string(), number, z.boolean()], { error: 'expected a text, a number, true or false' });
const duration = z.union(
  [
    z.string().regex(durationPattern, { abort: true }),
    z.literal(0),
    z.string().regex(/\$\{(env|file):[^}]+\}/, { abort: true }),
  ],
  { error: 'expected a duration such as 500ms, 5s, 2m or 1h' },
);
const sides = ['source', 'target'] as const;
const side = z.enum(sides, { error: 'expected source or target' });

const words = ['manual', 'source', 'target', 'prefer', 'last_write_wins', 'rules', 'keep_both'] as const;
const policyFunction = z.custom<PolicyFunction>((value) => typeof value === 'function', {
  error: 'expected a function, in lockstep.config.ts',
});
const orFunction = <const T extends readonly string[]>(names: T) =>
  z.union([z.enum(names), policyFunction], { error: `expected one of ${names.join(', ')}` });
const policy = orFunction(words);
const ofDeletes = orFunction(['manual', 'source', 'target', 'keep_update', 'delete']);

const values = z
  .array(literal, { error: 'expected a list of values such as [active, inactive]' })
  .min(2, { error: 'expected at least two values: one that beats another' });

const rule = z
  .strictObject(
    {
      column: text.describe('Source column. In the rules of a column: that one.').optional(),
      prefer: values
        .describe('Earlier values beat later ones. Of two values that are not both listed the rule says nothing.')
        .optional(),
      take: z
        .enum(['max', 'min', 'sum'], { error: 'expected max, min or sum' })
        .describe(
          'The greater or lesser of both values; or their sum: what was agreed and what both sides have added since, exactly.',
        )
        .optional(),
      transitions: z
        .record(z.string(), z.array(scalar), { error: 'expected { state: [next, …] }' })
        .describe('What each state can become. A state that can still become the other one loses.')
        .optional(),
    },
    { error: 'expected rules such as { column: status, prefer: [active, inactive] }' },
  )
  .describe('Looks at one column. Says which value counts, or nothing.');

const settings = {
  policy: policy
    .describe(
      'Who settles what both sides have changed. manual (default): a person; source, target, or prefer with `side`; last_write_wins with `newest`; rules with `rules`; keep_both: of rows that both inserted; in lockstep.config.ts also a function of the conflict that gives source, target, ask, { row } or nothing.',
    )
    .optional(),
  side: side.describe('For prefer: whose value counts.').optional(),
  newest: z
    .union([text, z.strictObject({ source: text, target: text })], {
      error: 'expected a column, or { source: column, target: column }',
    })
    .describe('For last_write_wins: the column with the time of the last write, or with a version number.')
    .optional(),
  skew: duration
    .describe(
      'For last_write_wins: how much the clocks of both sides may differ. Times as near as that do not say who was later. Default 0s.',
    )
    .optional(),
  ties: z
    .enum([...sides, 'manual'], { error: 'expected source, target or manual' })
    .describe(
      'For last_write_wins: who wins when the times do not say it (equal, within skew, or unknown). Default: the target when they are equal, else the policy has no opinion.',
    )
    .optional(),
  rules: z
    .array(rule, { error: 'expected a list of rules' })
    .min(1, { error: 'expected at least one rule' })
    .describe('For rules: asked in this order; the first with an opinion decides.')
    .optional(),
  new_key: z
    .strictObject({
      column: text.describe('The key column that changes. Default: the first.').optional(),
      add: z
        .union([z.number().int(), z.string().regex(/^-?\d+$/)], { error: 'expected a whole number' })
        .describe('For whole numbers: what is added, beyond all keys in use.')
        .optional(),
      append: text.describe('For texts: what is put behind.').optional(),
    })
    .describe('For keep_both: how the key of the target’s row is made. A uuid needs nothing.')
    .optional(),
  otherwise: policy.describe('Asked where the policy has no opinion. Default manual.').optional(),
} as const;

const settingsError = { error: 'expected a policy, or { policy: …, … }' };

export const columnConflictSchema = z
  .union([policy, z.strictObject(settings)], settingsError)
  .describe('How conflicts of this column are settled, before the policy of the pair is asked.');

export const ownerSchema = z
  .enum([...sides, 'each'], { error: 'expected source, target or each' })
  .describe(
    'Whose column it is: edits by the other side are overwritten, and recorded. each: every side keeps its own value; it goes along when a row is inserted.',
  );

export const conflictSchema = z
  .union(
    [
      policy,
      z.strictObject({
        ...settings,
        scope: z
          .enum(['row', 'column'], { error: 'expected row or column' })
          .describe(
            'What a rule that prefers a value decides: every disputed column of the row (default), or its own column only.',
          )
          .optional(),
        by_type: z
          .strictObject({
            insert_insert: policy.describe('Both inserted the key, differently; also the first comparison.').optional(),
            update_update: policy.describe('Both changed a column, differently.').optional(),
            update_delete: ofDeletes
              .describe('The source changed a row that the target deleted. Default manual, or the function.')
              .optional(),
            delete_update: ofDeletes
              .describe('The source deleted a row that the target changed. Default manual, or the function.')
              .optional(),
          })
          .describe('Policies by what happened, in place of `policy`. Deletions have only these.')
          .optional(),
      }),
    ],
    settingsError,
  )
  .describe(
    'How conflicts are settled. In a one-way sync: what the target changed on its own since the last agreement is a conflict, and not overwritten.',
  );

export const atomicSchema = z
  .boolean({ error: 'expected true or false' })
  .describe('true: a row is one thing. Edits of different columns are not merged; one side’s row counts as a whole.');

export const archiveSchema = z
  .strictObject({
    values: z
      .enum(['all', 'needed', 'none'], { error: 'expected all, needed or none' })
      .describe(
        'Which values the control store keeps of what was agreed: all (default), those that a policy calculates with (needed), or hashes only (none).',
      )
      .optional(),
  })
  .describe('What is kept of the last agreed state of each row.');

export const flappingSchema = z
  .strictObject({
    writes: z
      .number({ error: 'expected a number of writes, at least 2' })
      .int()
      .min(2, { error: 'expected a number of writes, at least 2' })
      .describe('Default 5.')
      .optional(),
    within: duration.describe('Default 10m.').optional(),
  })
  .describe('A key that is written so often within such a time waits for a person: something rewrites it.');

export type WrittenConflict = z.infer<typeof conflictSchema>;
export type WrittenColumnConflict = z.infer<typeof columnConflictSchema>;
export type WrittenOwner = z.infer<typeof ownerSchema>;
export type WrittenSteps = Exclude<WrittenColumnConflict, string | PolicyFunction>;
export type WrittenRule = z.infer<typeof rule>;
export type WrittenArchive = z.infer<typeof archiveSchema>;
export type WrittenFlapping = z.infer<typeof flappingSchema>;
