import { z } from 'zod';
import type { RowFunction } from '../model/transform.ts';
import { typePattern } from './column-type.ts';

/** How columns are transformed and validated, as written. `transform-of.ts` turns it into what the program uses. */

const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });

/** YAML reads 0.1 and 12345678901234567890 as binary fractions: what a double cannot hold exactly has to be quoted. */
const number = z.number({ error: 'expected a value' }).refine((n) => !Number.isInteger(n) || Number.isSafeInteger(n), {
  error: 'is larger than a number of YAML holds exactly: quote it',
});
const scalar = z.union([z.string(), number, z.boolean()], { error: 'expected a text, a number, true or false' });
const literal = z.union([z.string(), number, z.boolean(), z.null()], {
  error: 'expected a text, a number, true, false or null',
});
const rowFunction = z.custom<RowFunction>((value) => typeof value === 'function', {
  error: 'expected a function of the row, in lockstep.config.ts',
});
const count = z.number({ error: 'expected a number of characters' }).int().min(0);

const lookup = z
  .strictObject({
    table: text.describe('Table that has the value.'),
    by: z
      .record(z.string(), text, { error: 'expected { column_there: column_here }' })
      .describe('Column of that table: column of the row. Together they find one row.'),
    value: text.describe('Column of that table whose value is taken.'),
    endpoint: z.enum(['source', 'target']).describe('Where the table is. Default source.').optional(),
    missing: z
      .enum(['quarantine', 'null'])
      .describe('No such row: the row is invalid (default), or the value is NULL.')
      .optional(),
  })
  .describe('The value of a row of another table.');

/** What a column becomes where a copy makes its table. */
const columnType = z
  .string({ error: 'expected a type such as bool, text(40) or timestamptz' })
  .regex(typePattern, { error: 'expected a type such as bool, text(40) or timestamptz' });

/** Types that a copy gives columns, of a whole sync: as its pairs say them one by one. */
export const typesSchema = z
  .record(z.string().regex(/^.+\..+$/, { error: 'expected table.column' }), columnType, {
    error: 'expected types by table.column of the source',
  })
  .describe(
    'Types that `copy` and `mode: migrate` give columns where they make a table, by table.column of the source. What is compared does not change.',
  );

/** Settings of a column that change its values. */
export const columnSteps = {
  value: literal.describe('The same value in every row.').optional(),
  expr: text.describe('An expression (CEL) over the source’s columns, e.g. price * quantity.').optional(),
  transform: rowFunction
    .describe('In lockstep.config.ts: a function of the row that gives the value; undefined keeps it.')
    .optional(),
  lookup: lookup.optional(),
  from: z
    .enum(['epoch_s', 'epoch_ms'], { error: 'expected epoch_s or epoch_ms' })
    .describe(
      'The source has the moment as a number: seconds (epoch_s) or milliseconds (epoch_ms) since 1970. It becomes the moment; a table that a copy makes gets a timestamptz.',
    )
    .optional(),
  into: z
    .enum(['epoch_s', 'epoch_ms'], { error: 'expected epoch_s or epoch_ms' })
    .describe('The way back: the source has a moment, the target its number of seconds or milliseconds since 1970.')
    .optional(),
  map: z
    .record(z.string(), literal, { error: 'expected { value: value }' })
    .describe('Value in the source: value in the target. NULL is not mapped.')
    .optional(),
  otherwise: literal.describe('What becomes of values that map does not name.').optional(),
  unmapped: z
    .enum(['keep', 'quarantine'], { error: 'expected keep or quarantine' })
    .describe('Values that map does not name: kept as they are (default), or the row is invalid.')
    .optional(),
  default: scalar.describe('In place of NULL.').optional(),
  type: columnType
    .describe(
      'The type that `copy` and `mode: migrate` give the column where they make its table; what is compared stays.',
    )
    .optional(),
  as: z
    .string({ error: 'expected a type such as int, text or decimal(10,2)' })
    .regex(typePattern, { error: 'expected a type such as int, text or decimal(10,2)' })
    .describe(
      'The type it becomes: bool, int, decimal or decimal(10,2), float, text or text(40), date, time, timestamp, instant, uuid, bytes, json. Default: the target column’s.',
    )
    .optional(),
} as const;

const rule = z.strictObject(
  {
    in: z.array(literal).min(1).describe('The values that are valid.').optional(),
    not_null: z.boolean().describe('true: NULL is invalid.').optional(),
    min: scalar.describe('The least valid value.').optional(),
    max: scalar.describe('The greatest valid value.').optional(),
    pattern: text.describe('A pattern (RE2) that is found in a valid text. Anchor it with ^ and $.').optional(),
    length: z
      .union([count, z.strictObject({ min: count.optional(), max: count.optional() })], {
        error: 'expected the most characters, or { min, max }',
      })
      .describe('Characters of a valid text: the most, or { min, max }.')
      .optional(),
    check: z
      .union([text, rowFunction], { error: 'expected an expression' })
      .describe(
        'An expression over the source’s columns that is true for a valid row; in lockstep.config.ts also a function that gives true or the reason.',
      )
      .optional(),
    message: text.describe('The reason that is kept with an invalid row, in your words.').optional(),
  },
  { error: 'expected rules such as { in: [active, past_due] } or { not_null: true }' },
);

export const validation = z
  .record(z.string(), rule, { error: 'expected rules by column' })
  .describe(
    'Rules by source column, for its value as it is stored. Rows that break one are quarantined: never written, and their rows in the target stay as they are.',
  );

export type ColumnSteps = {
  readonly [K in keyof typeof columnSteps]?: z.infer<(typeof columnSteps)[K]>;
};
export type Validation = z.infer<typeof validation>;
