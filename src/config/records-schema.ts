import { z } from 'zod';
import { recordCacheSchema } from './cache-schema.ts';

/** What the API shows of tables as records, as written. `records.ts` turns it into what the program uses. */

const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });
const names = z.array(text, { error: 'expected a list of columns such as [status, created_at]' });

const writing = z.union([z.boolean(), z.strictObject({ columns: names.optional() })], {
  error: 'expected true, false or { columns: [ … ] }',
});

const record = z
  .strictObject(
    {
      endpoint: text
        .describe('Name of an endpoint. Default: the database that the environment’s DATABASE_URL names.')
        .optional(),
      table: text.describe('Its table, e.g. public.transactions.'),
      key: z
        .union([text, names.min(1)], { error: 'expected a column, or a list of columns' })
        .describe('Column or columns that identify a record; default: the primary key.')
        .optional(),
      read: z
        .strictObject({
          columns: names.describe('Columns that are shown. Default: all.').optional(),
          filters: names.describe('Columns that lists can be filtered by. Default: all that are shown.').optional(),
          sort: names.describe('Columns that lists can be sorted by. Default: all that are shown.').optional(),
          max_page: z
            .number({ error: 'expected a number from 1 to 1000' })
            .int()
            .min(1, { error: 'expected a number from 1 to 1000' })
            .max(1000, { error: 'expected a number from 1 to 1000' })
            .describe('Most records of a page. Default 200.')
            .optional(),
        })
        .optional(),
      create: writing.describe('May records be created? Default: if the endpoint is writable.').optional(),
      update: z
        .union(
          [
            z.boolean(),
            z.strictObject({
              columns: names.describe('Columns that can be changed. Default: all but the key.').optional(),
              transitions: z
                .record(text, z.record(text, z.array(text)), {
                  error: 'expected { column: { value: [values that may follow] } }',
                })
                .describe('Column: value: the values that may follow it. A value that is not listed is a last one.')
                .optional(),
            }),
          ],
          { error: 'expected true, false or { columns: [ … ], transitions: { … } }' },
        )
        .describe('May records be changed? Default: if the endpoint is writable.')
        .optional(),
      delete: z.boolean().describe('May records be deleted? Default: if the endpoint is writable.').optional(),
      mask: z
        .record(text, z.strictObject({ unless: text.describe('The scope that sees it, e.g. records:read_masked.') }), {
          error: 'expected { column: { unless: scope } }',
        })
        .describe('Columns that are shown as null, and cannot be filtered, sorted or written by, without a scope.')
        .optional(),
      row_filter: text
        .describe(
          'Records that a caller sees and writes: conditions joined by `and`, such as tenant_id = ${principal.tenant}. Values are bound, never text.',
        )
        .optional(),
      aliases: z
        .array(
          z.string().regex(/^(\/([A-Za-z0-9_.~-]+|\{[A-Za-z_]\w*\}))+$/, {
            error: 'expected a path such as /users/{user_id}/transactions',
          }),
          { error: 'expected a list of paths' },
        )
        .describe('Further paths of the list below /api/v1, with columns in braces: /users/{user_id}/transactions.')
        .optional(),
      cache: recordCacheSchema
        .describe(
          'Are answers kept for a while, and for how long? Default: if there is a section `cache`, as long as that says.',
        )
        .optional(),
      etag: text
        .describe(
          'content (default): any change of the row; or a column that every write changes: a whole number is counted up here, anything else by the database.',
        )
        .optional(),
    },
    { error: 'expected { endpoint, table, … }' },
  )
  .describe('A table as records of the API.');

export const recordsSchema = z
  .record(z.string().regex(/^[A-Za-z_][\w-]*$/), record, { error: 'expected entities by name' })
  .describe('Tables that the API serves as records: /api/v1/records/NAME.');

export type WrittenRecord = z.infer<typeof record>;
