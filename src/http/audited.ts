import type { FastifyRequest } from 'fastify';
import type { Cancel } from '../model/cancel.ts';
import type { JsonValue } from '../model/json.ts';
import { audited as auditedBy } from '../work/audited.ts';
import type { Api } from './api.ts';

/**
 * Does something that changes state, between two entries of the audit log in the caller's name. When the first cannot be
 * written, it is not done; the second is written also when the client has gone.
 */
export const audited = <T>(
  api: Api,
  request: FastifyRequest,
  what: { readonly action: string; readonly object: string; readonly before?: JsonValue; readonly after?: JsonValue },
  o: Cancel,
  effect: () => Promise<T>,
): Promise<T> =>
  auditedBy(api.store.audit, { ...what, actor: request.principal.name, correlation: request.id }, o, effect);
