import { hash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { HttpProblem } from './errors.ts';

/** A strong tag of what is sent. */
export const tagOf = (payload: string | Uint8Array): string => `"${hash('sha256', payload, 'hex').slice(0, 32)}"`;

const tags = (header: string): readonly string[] => header.split(',').map((tag) => tag.trim());

/** Does `If-None-Match` name this tag? Compared weakly, as RFC 9110 has it. */
const namesIt = (header: string, tag: string): boolean =>
  header.trim() === '*' || tags(header).some((t) => t.replace(/^W\//, '') === tag);

/** Has whoever asks what this tag stands for? */
export const hasAlready = (request: FastifyRequest, tag: string): boolean => {
  const known = header(request, 'if-none-match');
  return known !== undefined && namesIt(known, tag);
};

const header = (request: FastifyRequest, name: string): string | undefined => {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
};

/** Tags the answers of routes with `config.etag`, and answers 304 to who has them already. Others are not to be kept. */
export const addEtags = (app: FastifyInstance): void => {
  app.addHook('onSend', (request, reply: FastifyReply, payload: unknown, done) => {
    const { etag } = request.routeOptions.config;
    if (!etag || reply.statusCode !== 200 || typeof payload !== 'string') {
      if (reply.getHeader('cache-control') === undefined) reply.header('cache-control', 'no-store');
      return done();
    }
    const given = reply.getHeader('etag');
    const tag = typeof given === 'string' ? given : tagOf(payload);
    reply.header('etag', tag);
    if (reply.getHeader('cache-control') === undefined) reply.header('cache-control', 'private, no-cache');
    if (!hasAlready(request, tag)) return done();
    reply.code(304).removeHeader('content-length').removeHeader('content-type');
    // of HEAD the framework takes the length of what is not sent, and fails where there is nothing
    return done(null, request.method === 'HEAD' ? payload : null);
  });
};

/**
 * The tags of `If-Match`, strong ones only. PRECONDITION_REQUIRED without the header, and for `*`: who writes has to
 * say what they have seen. `hint`: where the tag comes from.
 */
export const ifMatch = (request: FastifyRequest, hint: string): readonly string[] => {
  const given = header(request, 'if-match')?.trim();
  if (given === undefined || given === '' || given === '*') {
    const what = 'This needs If-Match with the ETag of what you have seen';
    throw new HttpProblem('PRECONDITION_REQUIRED', given === '*' ? `${what}; * stands for anything.` : `${what}.`, {
      hint,
    });
  }
  return tags(given).filter((tag) => tag.startsWith('"') && tag.endsWith('"'));
};
