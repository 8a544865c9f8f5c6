import type { FastifyRequest } from 'fastify';
import type { Cancel } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Json } from '../model/store.ts';
import type { Api } from './api.ts';

/**
 * Does something that changes state, between two entries of the audit log. When the first cannot be written, it is not
 * done.
 */
export const audited = async <T>(
  api: Api,
  request: FastifyRequest,
  what: { readonly action: string; readonly object: string; readonly before?: Json; readonly after?: Json },
  o: Cancel,
  effect: () => Promise<T>,
): Promise<T> => {
  const { audit } = api.store;
  const entry = { ...what, actor: request.principal.name, correlation: request.id };
  await audit.append([{ ...entry, outcome: 'intended' }], o);
  // What became of it is written also when the client has gone.
  const end = { signal: request.server.ending };
  let result: T;
  try {
    result = await effect();
  } catch (error) {
    const code = error instanceof LockstepError ? error.code : 'INTERNAL';
    await audit.append([{ ...entry, after: { error: code }, outcome: 'failed' }], end);
    throw error;
  }
  await audit.append([{ ...entry, outcome: 'done' }], end);
  return result;
};
