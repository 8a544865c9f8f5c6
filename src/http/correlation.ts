import type { IncomingMessage } from 'node:http';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';

/** What may stand in logs, headers and the store as it is. */
const wellFormed = /^[A-Za-z0-9][A-Za-z0-9._:-]{3,127}$/;

/** The caller's `x-request-id` if it is well formed, else a new one. */
export const correlationOf =
  (clock: Pick<Clock, 'now'>) =>
  (request: IncomingMessage): string => {
    const given = request.headers['x-request-id'];
    return typeof given === 'string' && wellFormed.test(given) ? given : newId('c', clock.now());
  };
