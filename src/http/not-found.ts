import type { FastifyInstance } from 'fastify';
import { HttpProblem } from './errors.ts';

const pattern = (url: string): RegExp =>
  new RegExp(
    `^${url
      .split(/(:[A-Za-z_]+|\*)/)
      .map((part) =>
        part === '*' ? '.*' : /^:[A-Za-z_]/.test(part) ? '[^/]+' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'),
      )
      .join('')}$`,
  );

/** Answers 405 with `Allow` where the path is there and takes other methods, else 404. */
export const addNotFound = (app: FastifyInstance): void => {
  const routes = new Map<string, { readonly path: RegExp; readonly methods: Set<string> }>();
  app.addHook('onRoute', (route) => {
    const known = routes.get(route.url) ?? { path: pattern(route.url), methods: new Set<string>() };
    for (const method of [route.method].flat()) known.methods.add(method);
    routes.set(route.url, known);
  });
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0]!;
    const methods = [...routes.values()].filter((r) => r.path.test(path)).flatMap((r) => [...r.methods]);
    if (methods.length === 0)
      throw new HttpProblem('ROUTE_NOT_FOUND', `There is nothing at ${path.slice(0, 200)}.`, { hint: 'See /docs.' });
    const allow = [...new Set(methods)].sort().join(', ');
    throw new HttpProblem('METHOD_NOT_ALLOWED', `${request.method} is not one of ${allow}.`, { headers: { allow } });
  });
};
