import { z } from 'zod';

/** Keys of what the control store keeps of rows, as written. */

const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });

export const columnStoreSchema = z
  .enum(['plain', 'mask', 'encrypt'], { error: 'expected plain, mask or encrypt' })
  .describe(
    'What is kept and shown of its values: plain (default), mask (a keyed hash that equal values share) or encrypt (•••). What must come back is encrypted either way. Needs `stored`.',
  );

export const storedSchema = z
  .strictObject(
    {
      key: text
        .describe(
          'Secret that what the control store keeps of rows is encrypted under, usually "${env:…}" or "${file:…}"; default LOCKSTEP_STORED_KEY, else it is kept as it is.',
        )
        .optional(),
      previous: z
        .array(text, { error: 'expected a list of secrets' })
        .describe('Earlier secrets, until `lockstep stored rekey` has run.')
        .optional(),
    },
    { error: 'expected { key, previous }' },
  )
  .describe('Encryption of stored values: see docs/guide/security.md.');

export type WrittenColumnStore = z.infer<typeof columnStoreSchema>;
export type WrittenStored = z.infer<typeof storedSchema>;
