import type { FastifyRequest } from 'fastify';
import { LockstepError } from '../model/errors.ts';
import { isLoopback } from './listening.ts';

const hostname = (host: string): string => host.replace(/:\d*$/, '');

/**
 * Where nobody has to say who they are, a page of somebody else could make a browser of this machine ask: by this address, or by a
 * name that its owner lets point here. FORBIDDEN for what a browser sends for other pages than ours, and for names that are
 * not this machine's.
 */
export const refuseForeignPages = ({ headers }: Pick<FastifyRequest, 'headers'>): void => {
  const host = headers.host ?? '';
  const site = headers['sec-fetch-site'];
  const { origin } = headers;
  const foreign =
    !isLoopback(hostname(host)) ||
    (site !== undefined && site !== 'same-origin' && site !== 'none') ||
    (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`);
  if (foreign)
    throw new LockstepError('FORBIDDEN', 'Without tokens only programs and pages of this machine are served.', {
      hint: 'Ask http://127.0.0.1 or http://localhost, or use tokens: leave out `server.auth`.',
    });
};
