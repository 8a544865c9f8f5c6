import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Cancel } from '../model/cancel.ts';
import type { JsonValue } from '../model/json.ts';
import type { RunRequest } from '../model/service.ts';
import type { Api } from './api.ts';
import { audited } from './audited.ts';
import { askedBy, mustHaveKey } from './idempotency.ts';
import { type Run, runOf } from './shapes/run.ts';

const ended = new Set(['done', 'failed', 'cancelled']);

/** Asks for a run: 202 and where it is; 200 when the same key asked for it before and it has ended. */
export const startRun = async (
  api: Api,
  request: FastifyRequest,
  reply: FastifyReply,
  o: Cancel & { readonly run: RunRequest; readonly object: string; readonly writes: boolean },
): Promise<z.infer<typeof Run>> => {
  if (o.writes) mustHaveKey(request);
  const { run, repeated } = await audited(
    api,
    request,
    { action: `run.${o.run.kind}`, object: o.object, after: { ...o.run } as JsonValue },
    o,
    () => api.desk.request(o.run, askedBy(request), o),
  );
  reply.code(repeated && ended.has(run.state) ? 200 : 202).header('location', `/api/v1/runs/${run.id}`);
  return runOf(request, run);
};
