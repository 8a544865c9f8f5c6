import type { FastifyInstance } from 'fastify';
import { docsPage, docsStyle, errorsPage } from './docs-page.ts';
import type { Addition, Document } from './openapi.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Parts of the document that depend on the configuration: schemas of entities. Asked each time it is read. */
    readonly documented: Addition[];
  }
}

/** The document, and pages made of it: text and a style sheet from here, no script at all. */
export const addDocs = (
  app: FastifyInstance,
  document: (additions: readonly Addition[]) => Promise<Document>,
): void => {
  const additions: Addition[] = [];
  app.decorate('documented', additions);
  const made = (): Promise<Document> => document(additions);
  const config = { scope: 'public', etag: true } as const;
  const html = { ...config, produces: ['text/html'] };
  app.get('/openapi.json', { config, schema: { hide: true } }, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(JSON.stringify(await made())),
  );
  app.get('/docs', { config: html, schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(docsPage(await made())),
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
