import { z } from 'zod';
import type { Config } from '../../config/config.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Diagnosis } from '../../service/diagnosis.ts';
import { diagnosisOf, examineConfig, examineEndpoint, examineJob, type OpenSide } from '../../service/doctor.ts';
import { type Job, jobOfSync, sideOfEntry } from '../../service/job.ts';
import type { Api, Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { syncNamed } from '../sync-named.ts';
import { typed } from '../typed.ts';

const Finding = z
  .object({
    about: z.string().describe('The configuration, an endpoint or a sync'),
    level: z.enum(['ok', 'advice', 'warning', 'error']),
    code: z.string(),
    message: z.string(),
    fix: z.string().optional().describe('What to do: often a statement to copy'),
  })
  .meta({
    id: 'Finding',
    examples: [
      {
        about: 'crm',
        level: 'advice',
        code: 'index',
        message: 'crm has no index on updated_at',
        fix: 'create index on sales.subscription (updated_at);',
      },
    ],
  });

const Checked = z.object({ ok: z.boolean().describe('Nothing is an error'), findings: z.array(Finding) }).meta({
  id: 'Checked',
  examples: [
    { ok: true, findings: [{ about: 'config', level: 'ok', code: 'config', message: 'lockstep.yaml is valid' }] },
  ],
});

/** How long everything may take to be looked at, milliseconds. */
const longest = 120_000;

const jobsOf = (config: Config, names: readonly string[]): readonly Job[] =>
  names.map((name) => {
    const sync = config.syncs[name]!;
    const { mode } = sync;
    const writes = config.endpoints[sync.target]?.writable === true;
    return jobOfSync(config, sync, {}, writes && mode !== 'compare');
  });

const examine = async (
  api: Api,
  open: OpenSide,
  sync: string | undefined,
  o: Cancel,
): Promise<readonly Diagnosis[]> => {
  const config = api.config();
  const names = sync === undefined ? Object.keys(config.syncs) : [sync];
  const found = sync === undefined ? [...examineConfig(config)] : [];
  for (const job of jobsOf(config, names)) {
    for (const d of await examineJob(open, job, o.signal, config))
      if (!found.some((f) => f.about === d.about && f.code === d.code && f.message === d.message)) found.push(d);
  }
  if (sync !== undefined) return found;
  const used = new Set(Object.values(config.syncs).flatMap((s) => [s.source, s.target]));
  for (const entry of Object.values(config.endpoints).filter(({ name }) => !used.has(name))) {
    try {
      await using endpoint = await open(sideOfEntry(config, entry, entry.writable), o.signal);
      found.push(...(await examineEndpoint(endpoint, [], entry.writable, o.signal, config)));
    } catch (error) {
      found.push(diagnosisOf(entry.name, error));
    }
  }
  return found;
};

export const check: Routes = (app, api) => {
  typed(app).post(
    '/api/v1/check',
    {
      config: { scope: 'endpoints:check', objects: 'checked', problems: [404, 502, 504] },
      schema: {
        operationId: 'check',
        summary: 'The doctor: configuration, connections, TLS, privileges, keys, types, indexes',
        description: 'Connects to the databases and writes nothing. What cannot be reached is a finding.',
        tags: ['endpoints'],
        body: z
          .strictObject({ sync: z.string().min(1).max(200).optional().describe('Only this one; absent: everything') })
          .nullish()
          .meta({ examples: [{ sync: 'subscriptions' }] }),
        response: { 200: Checked },
      },
    },
    async (request, reply) => {
      const o = cancelOf(request, reply, { ms: longest });
      const name = request.body?.sync;
      // Who is bound to some syncs looks at one of them.
      const all = name === undefined && request.principal.only === undefined;
      const sync = all ? undefined : syncNamed(api, request, name ?? '').name;
      const open: OpenSide = ({ name: endpoint, writable }, signal) =>
        api.endpoints.open(endpoint, { signal, writable });
      const found = await examine(api, open, sync, o);
      const { redactor } = api;
      return {
        ok: found.every(({ level }) => level !== 'error'),
        findings: found.map(({ about, level, code, message, fix }) => ({
          ...{ about, level, code, message: redactor.redact(message) },
          ...(fix === undefined ? {} : { fix: redactor.redact(fix) }),
        })),
      };
    },
  );
};
