import { z } from 'zod';
import { percentPattern } from './units.ts';

/** What is told of its own work, as written. */

const reference = z.string().regex(/\$\{(env|file):[^}]+\}/, { abort: true });
const text = z.string({ error: 'expected text' }).min(1, { error: 'expected text that is not empty' });
const flag = z.union([z.boolean(), reference], { error: 'expected true or false' });

const traces = z
  .strictObject(
    {
      otlp: text.describe(
        'Address of an OpenTelemetry collector that takes OTLP over HTTP; /v1/traces is added to a host.',
      ),
      headers: z.record(z.string(), text).describe('Sent with it, e.g. authorization: "${env:…}".').optional(),
      sample: z
        .union([z.string().regex(percentPattern), z.number().min(0).max(1)], {
          error: 'expected a percentage such as 10% or a fraction from 0 to 1',
        })
        .describe('Share of the traces that begin here. Default 100%.')
        .optional(),
      service: text.describe('Default lockstep.').optional(),
      allow_private: flag.describe('May it be of this machine or a private network? Default false.').optional(),
    },
    { error: 'expected { otlp: https://collector:4318 }' },
  )
  .describe('Spans of API calls and runs: see docs/guide/monitoring.md.');

export const telemetrySchema = z
  .strictObject({ traces: traces.optional() }, { error: 'expected { traces: { otlp: … } }' })
  .describe('OpenTelemetry.');

export type WrittenTelemetry = z.infer<typeof telemetrySchema>;
