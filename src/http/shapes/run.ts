import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { EndpointFacts, Phase, Run as StoredRun } from '../../model/runs.ts';
import { snakeKeys } from '../snake-keys.ts';
import { shownReport } from '../values.ts';
import { Time, timeOf, timeOrNull } from './time.ts';

export const runKinds = ['diff', 'plan', 'apply', 'sync', 'verify', 'revert', 'copy', 'assess', 'backup'] as const;
export const runStates = ['queued', 'running', 'done', 'failed', 'cancelled'] as const;

/** Who has paused a sync, and when. */
export const Paused = z.object({ by: z.string(), since: Time });

const runExample = {
  id: 'r_06dq2k8v4m7x3w',
  kind: 'diff',
  state: 'done',
  sync: 'subscriptions',
  plan: null,
  parent: null,
  actor: 'token:ci',
  correlation: 'c_06dq2k8v4m7x3w',
  trigger: 'api',
  started: '2026-11-21T12:00:00.000Z',
  finished: '2026-11-21T12:00:04.120Z',
  exit: 2,
  alive: false,
  paused: null,
  verdict: 'differs',
  error: null,
} as const;

const summary = {
  id: z.string(),
  kind: z.enum(runKinds),
  state: z.enum(runStates).describe('`running` without `alive`: its process is gone, and another goes on with it'),
  sync: z.string().nullable(),
  plan: z.string().nullable().describe('The plan it made or applied'),
  parent: z.string().nullable().describe('The run it reverts or belongs to'),
  actor: z.string(),
  correlation: z.string(),
  trigger: z.enum(['api', 'schedule', 'after', 'cli']).nullable(),
  started: Time,
  finished: Time.nullable(),
  exit: z.number().int().nullable().describe('As the command line would end; see the exit codes'),
  alive: z.boolean().describe('A process is at work on it'),
  paused: Paused.nullable().describe('It is queued and its sync is paused: it begins when that is resumed'),
  verdict: z.string().nullable().describe('agrees, differs or incomplete; null: it says none'),
  error: z
    .object({ code: z.string(), message: z.string(), hint: z.string().optional() })
    .nullable()
    .describe('Why it failed'),
};

export const RunSummary = z.object(summary).meta({ id: 'RunSummary', examples: [runExample] });

const Side = z
  .object({ name: z.string(), engine: z.string(), version: z.string(), description: z.string() })
  .meta({ id: 'Side' });

export const Run = z
  .object({
    ...summary,
    source: Side.nullable(),
    target: Side.nullable(),
    phases: z.array(
      z.object({ name: z.string(), started: Time, finished: Time.nullable(), elapsed_ms: z.number().nullable() }),
    ),
    requested: z.unknown().describe('What was asked for; null: it was begun by hand'),
    attempt: z.number().int().describe('Processes that have begun it'),
    worker: z.string().nullable(),
    cancelled_by: z.string().nullable(),
    report: z.unknown().describe('What it found and did; what it quotes of rows only with differences:read_values'),
  })
  .meta({
    id: 'Run',
    examples: [
      {
        ...runExample,
        source: { name: 'billing', engine: 'postgres', version: 'PostgreSQL 18.4', description: 'billing on db1' },
        target: { name: 'crm', engine: 'postgres', version: 'PostgreSQL 18.4', description: 'crm on db2' },
        phases: [
          {
            name: 'collect',
            started: '2026-11-21T12:00:00.000Z',
            finished: '2026-11-21T12:00:01.000Z',
            elapsed_ms: 1000,
          },
        ],
        requested: { kind: 'diff', sync: 'subscriptions' },
        attempt: 1,
        worker: 'worker@host/4711',
        cancelled_by: null,
        report: { verdict: 'differs' },
      },
    ],
  });

/** The verdict a report holds, whatever kind of run it is of. */
export const verdictOf = (run: StoredRun): string | null => {
  const { report } = run;
  if (report === null || typeof report !== 'object' || Array.isArray(report)) return null;
  const { verdict } = report as { readonly verdict?: unknown };
  return typeof verdict === 'string' ? verdict : null;
};

export const summaryOf = (run: StoredRun): z.infer<typeof RunSummary> => ({
  id: run.id,
  kind: run.kind,
  state: run.state,
  sync: run.sync,
  plan: run.plan,
  parent: run.parent,
  actor: run.actor,
  correlation: run.correlation,
  trigger: run.asked?.trigger ?? null,
  started: timeOf(run.started),
  finished: timeOrNull(run.finished),
  exit: run.exit,
  alive: run.alive,
  paused: run.asked?.paused ? { by: run.asked.paused.by, since: timeOf(run.asked.paused.since) } : null,
  verdict: verdictOf(run),
  error: run.error && {
    code: run.error.code,
    message: run.error.message,
    ...(run.error.hint === undefined ? {} : { hint: run.error.hint }),
  },
});

export const sideOf = (side: EndpointFacts | null): z.infer<typeof Side> | null =>
  side && { name: side.name, engine: side.engine, version: side.version, description: side.description };

const phaseOf = ({ name, started, finished }: Phase) => ({
  name,
  started: timeOf(started),
  finished: timeOrNull(finished),
  elapsed_ms: finished === undefined ? null : finished - started,
});

export const runOf = (request: FastifyRequest, run: StoredRun): z.infer<typeof Run> => ({
  ...summaryOf(run),
  source: sideOf(run.source),
  target: sideOf(run.target),
  phases: run.phases.map(phaseOf),
  requested: run.asked ? snakeKeys(run.asked.request) : null,
  attempt: run.asked?.attempt ?? 1,
  worker: run.asked?.worker ?? null,
  cancelled_by: run.asked?.cancelledBy ?? null,
  report: shownReport(request, run.report),
});
