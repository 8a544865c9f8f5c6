import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Principal } from '../access/scopes.ts';
import type { Clock } from '../lib/clock.ts';
import { docsPage, docsStyle, errorsPage } from './docs-page.ts';
import type { Addition, Document, Part } from './openapi.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Parts of the document that depend on the configuration and on who reads it: schemas of entities. */
    readonly documented: Addition[];
  }
}

/** A document with parts of the configuration looks into databases: it is made anew after so long. */
const keptMs = 5000;
const mostKept = 50;

interface Kept {
  readonly parts: readonly Part[];
  readonly at: number;
  readonly document: Promise<Document>;
}

/** Documents by what is shown in them; the one without parts of the configuration never changes. */
const keeper = (document: (parts: readonly Part[]) => Promise<Document>, clock: Clock) => {
  const kept = new Map<string, Kept>();
  const isGood = (known: Kept, parts: readonly Part[]): boolean =>
    parts.length === 0 ||
    (clock.elapsed() - known.at < keptMs && known.parts.every(({ from }, i) => parts[i]?.from === from));
  return (parts: readonly Part[]): Promise<Document> => {
    const key = JSON.stringify(parts.map((part) => part.names));
    const known = kept.get(key);
    if (known && isGood(known, parts)) return known.document;
    const made: Kept = { parts, at: clock.elapsed(), document: document(parts) };
    kept.delete(key);
    // The oldest goes: a Map keeps the order in which they came.
    if (kept.size >= mostKept) kept.delete(kept.keys().next().value!);
    kept.set(key, made);
    made.document.catch(() => {
      if (kept.get(key) === made) kept.delete(key);
    });
    return made.document;
  };
};

/** The document, and pages made of it: text and a style sheet from here, no script at all. */
export const addDocs = (
  app: FastifyInstance,
  document: (parts: readonly Part[]) => Promise<Document>,
  clock: Clock,
): void => {
  const additions: Addition[] = [];
  app.decorate('documented', additions);
  const keep = keeper(document, clock);
  const made = (request: FastifyRequest): Promise<Document> => {
    const caller: Principal | undefined = request.principal;
    return keep(additions.map((of) => of(caller)).filter((part) => part !== undefined));
  };
  const known = { caller: 'optional' } as const;
  const config = { scope: 'public', etag: true } as const;
  const html = { ...config, produces: ['text/html'] };
  app.get('/openapi.json', { config: { ...config, ...known }, schema: { hide: true } }, async (request, reply) =>
    reply
      .type('application/json; charset=utf-8')
      .header('vary', 'authorization')
      .send(JSON.stringify(await made(request))),
  );
  app.get('/docs', { config: { ...html, ...known }, schema: { hide: true } }, async (request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header('vary', 'authorization')
      .send(docsPage(await made(request))),
  );
  for (const near of ['/', '/docs/'])
    app.get(near, { config: { scope: 'public', produces: html.produces }, schema: { hide: true } }, (_request, reply) =>
      reply.redirect('/docs', 307),
    );
  app.get('/docs/errors', { config: html, schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(errorsPage()),
  );
  app.get('/docs/style.css', { config: { ...config, produces: ['text/css'] }, schema: { hide: true } }, (_r, reply) =>
    reply.type('text/css; charset=utf-8').send(docsStyle),
  );
};
