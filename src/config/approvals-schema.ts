import { z } from 'zod';
import { durationPattern } from './units.ts';

/** Who has to agree to which plans of a sync, as written. */

const reference = z.string().regex(/\$\{(env|file):[^}]+\}/, { abort: true });
const whole = (least: number) => {
  const error = `expected a whole number, at least ${least}`;
  return z.union([z.number({ error }).int({ error }).min(least, { error }), reference], { error });
};

export const approvalsSchema = z
  .strictObject(
    {
      required: whole(1).describe('How many people have to agree. Default 1.').optional(),
      above: z
        .strictObject(
          {
            changes: whole(0).describe('Plans with more changes.').optional(),
            deletes: whole(0).describe('Plans with more deletes.').optional(),
          },
          { error: 'expected { changes: 100, deletes: 0 }' },
        )
        .describe('Only plans that change more than this. Default: every plan that changes something.')
        .optional(),
      by: z
        .array(z.string({ error: 'expected a name' }).min(1, { error: 'expected a name' }), {
          error: 'expected a list of names such as token:alice or oidc:alice@example.com',
        })
        .min(1, { error: 'expected a list of names such as token:alice or oidc:alice@example.com' })
        .describe('Names of those whose agreement counts. Default: whoever holds `plans:approve`.')
        .optional(),
      not_author: z
        .union([z.boolean(), reference], { error: 'expected true or false' })
        .describe('Who asked for a plan cannot agree to it. Default true.')
        .optional(),
      expires: z
        .union([z.string().regex(durationPattern, { abort: true }), reference], {
          error: 'expected a duration such as 24h',
        })
        .describe('How long a plan may wait. Default 24h.')
        .optional(),
    },
    { error: 'expected { required: 1, above: { changes: 100, deletes: 0 } }' },
  )
  .describe('Plans of this sync that are applied only when somebody has agreed: see docs/guide/service.md.');

export type WrittenApprovals = z.infer<typeof approvalsSchema>;
