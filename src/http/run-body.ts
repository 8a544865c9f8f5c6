import { z } from 'zod';
import type { Scope } from '../access/scopes.ts';
import type { Config } from '../config/config.ts';
import { closest } from '../lib/suggest.ts';
import type { RunRequest } from '../model/service.ts';
import { HttpProblem } from './errors.ts';

const name = z.string().min(1).max(200);
const tables = z
  .array(name)
  .min(1)
  .max(1000)
  .optional()
  .describe('Source tables of the pairs that are meant; absent: all');
const whole = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const OfSync = z.strictObject({
  kind: z.enum(['diff', 'plan', 'sync', 'verify']),
  sync: name.describe('A sync of the configuration'),
  tables,
  full: z.boolean().optional().describe('Compare all rows, however the sync is configured'),
  max_changes: whole.optional().describe('Replaces the guard for this run'),
  allow_deletes: whole.optional().describe('Replaces the guard for this run'),
});

const OfEndpoints = z.strictObject({
  kind: z.enum(['copy', 'assess']),
  sync: name
    .optional()
    .describe('A sync of the configuration, instead of source and target: its tables, names and types'),
  source: name.optional().describe('An endpoint of the configuration'),
  target: name.optional().describe('An endpoint of the configuration; `assess` may do without'),
  tables,
});

export const RunBody = z.discriminatedUnion('kind', [OfSync, OfEndpoints]).meta({
  id: 'RunRequest',
  examples: [
    { kind: 'diff', sync: 'subscriptions' },
    { kind: 'sync', sync: 'subscriptions', max_changes: 100 },
    { kind: 'assess', source: 'billing' },
    { kind: 'copy', sync: 'subscriptions' },
  ],
});

const unknown = (pointer: string, what: string, given: string, known: readonly string[]): HttpProblem => {
  const meant = closest(given, known);
  const detail = `there is no ${what} \`${given}\` in the configuration`;
  return new HttpProblem('BODY', `${detail}.`, {
    ...(meant === undefined ? {} : { hint: `Did you mean ${meant}?` }),
    errors: [{ pointer, detail }],
  });
};

const refused = (pointer: string, detail: string, hint: string): HttpProblem =>
  new HttpProblem('BODY', `${detail}.`, { hint, errors: [{ pointer, detail }] });

const isOfSync = (body: z.infer<typeof RunBody>): body is z.infer<typeof OfSync> =>
  body.kind !== 'copy' && body.kind !== 'assess';

/** What is asked for, if it can be; `scope`: what the caller must hold beyond runs:create. */
export const runRequest = (
  config: Config,
  body: z.infer<typeof RunBody>,
  maySee: (sync: string | null) => boolean,
): { readonly run: RunRequest; readonly object: string; readonly writes: boolean; readonly scope?: Scope } => {
  if (isOfSync(body)) {
    const known = Object.keys(config.syncs).filter(maySee);
    if (!known.includes(body.sync)) throw unknown('/sync', 'sync', body.sync, known);
    const { kind, sync, full } = body;
    const { mode, source, target } = config.syncs[sync]!;
    const plans = kind === 'plan' || kind === 'sync';
    if (plans && mode === 'compare')
      throw refused('/kind', `sync \`${sync}\` has mode ${mode}: it plans nothing`, 'Ask for a diff.');
    const closed = (mode === 'two_way' ? [source, target] : [target]).find(
      (e) => config.endpoints[e]?.writable !== true,
    );
    if (kind === 'sync' && closed !== undefined)
      throw refused('/kind', `endpoint \`${closed}\` is read-only`, `Add \`writable: true\` to ${closed}.`);
    const guards = body.max_changes !== undefined || body.allow_deletes !== undefined;
    return {
      run: {
        kind,
        sync,
        ...(body.tables === undefined ? {} : { tables: body.tables }),
        ...(full === undefined ? {} : { full }),
        ...(body.max_changes === undefined ? {} : { maxChanges: body.max_changes }),
        ...(body.allow_deletes === undefined ? {} : { allowDeletes: body.allow_deletes }),
      },
      object: `syncs/${sync}`,
      writes: kind === 'sync',
      ...(kind === 'sync' ? { scope: guards ? 'plans:apply' : 'syncs:operate' } : {}),
      ...(kind === 'plan' ? { scope: 'plans:create' } : {}),
    };
  }
  const { kind, sync } = body;
  const known = Object.keys(config.endpoints);
  if (sync !== undefined && (body.source !== undefined || body.target !== undefined))
    throw refused('/sync', 'a sync has its endpoints', 'Name a sync, or a source and a target.');
  const syncs = Object.keys(config.syncs).filter(maySee);
  if (sync !== undefined && !syncs.includes(sync)) throw unknown('/sync', 'sync', sync, syncs);
  const { source, target } = sync === undefined ? body : config.syncs[sync]!;
  if (source === undefined)
    throw refused('/source', `what is to be ${kind === 'copy' ? 'copied' : 'assessed'}?`, 'Name a sync, or a source.');
  if (sync !== undefined && kind === 'copy' && config.syncs[sync]!.mode === 'compare')
    throw refused('/kind', `sync \`${sync}\` has mode compare: it writes nothing`, 'Ask for an assessment.');
  if (sync === undefined && !maySee(null))
    throw refused('/kind', 'this token is bound to some syncs', 'Use a token that is bound to none.');
  if (!known.includes(source)) throw unknown('/source', 'endpoint', source, known);
  if (target !== undefined && !known.includes(target)) throw unknown('/target', 'endpoint', target, known);
  if (kind === 'copy' && target === undefined)
    throw refused('/target', 'a copy needs a target', 'Name an endpoint that is writable.');
  if (kind === 'copy' && config.endpoints[target!]?.writable !== true)
    throw refused('/target', `endpoint \`${target}\` is read-only`, `Add \`writable: true\` to ${target}.`);
  return {
    run: {
      kind,
      source,
      ...(target === undefined ? {} : { target }),
      ...(sync === undefined ? {} : { sync }),
      ...(body.tables === undefined ? {} : { tables: body.tables }),
    },
    object: sync === undefined ? `endpoints/${target ?? source}` : `syncs/${sync}`,
    writes: kind === 'copy',
    ...(kind === 'copy' ? { scope: 'plans:apply' } : {}),
  };
};
