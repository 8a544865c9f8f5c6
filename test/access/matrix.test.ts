import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeToken } from '../../src/access/make-token.ts';
import { roleNames } from '../../src/access/roles.ts';
import { scopes } from '../../src/access/scopes.ts';
import type { Api } from '../../src/http/api.ts';
import { buildApp } from '../../src/http/app.ts';
import { prepareAccess } from '../../src/http/prepare-access.ts';
import { allRoutes } from '../../src/http/routes.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { redactor } from '../../src/lib/redact.ts';
import { openTimings } from '../../src/telemetry/timings.ts';
import { freshStore } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';
import { serverConfig } from './server-config.ts';

/**
 * Every route of the app against every role: what comes through to the route's own checks, and what does not. The golden
 * file is written by hand or with LOCKSTEP_WRITE_GOLDEN=1, and read by whoever reviews a change of it.
 */
const golden = join(import.meta.dirname, 'routes.golden.txt');

const { store } = await freshStore();
const config = await serverConfig(
  'server: { rate_limit: false }\nrecords:\n  items: { endpoint: a, table: items, key: id, aliases: ["/users/{user_id}/items"] }',
);
const api = {
  version: '0',
  store,
  config: () => config,
  clock: systemClock,
  timings: openTimings(systemClock),
  redactor: redactor(),
  signal: o.signal,
} as unknown as Api;
const prepared = await prepareAccess({ ...api, config: () => config });
const { app, routes } = await buildApp(api, {
  ...prepared,
  routes: allRoutes,
  access: async (a) => {
    await prepared.access(a);
    // Instead of the route: nothing is done, and what came through is seen.
    a.addHook('preValidation', async (request, reply) => (request.is404 ? undefined : reply.code(299).send('through')));
  },
});
await app.ready();
after(() => app.close());

const token = async (name: string, wish: object): Promise<string> =>
  (await makeToken(store.tokens, { name, ...wish }, { actor: 'test' }, systemClock, o)).secret;
const status = async (method: string, url: string, bearer?: string): Promise<number> => {
  const path = url
    .replaceAll(/:[A-Za-z_]+(\([^)]*\))?/g, 'x')
    .replaceAll('*', 'x')
    .replaceAll('::', ':');
  const reply = await app.inject({
    method: method as 'GET',
    url: path,
    headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
  });
  return reply.statusCode;
};
const own = routes.filter(({ method }) => method !== 'HEAD');

test('every route lets in exactly the roles that the golden file says', async () => {
  assert.ok(own.length > 30, `saw only ${own.length} routes`);
  const bearers = await Promise.all(roleNames.map(async (role) => [role, await token(role, { role })] as const));
  const bound = await token('bound', { role: 'admin', syncs: ['none'] });
  const lines: string[] = [];
  for (const { method, url, scope } of own) {
    const open = (await status(method, url)) === 299;
    assert.equal(open, scope === 'public', `${method} ${url} without a token`);
    const may: string[] = [];
    for (const [role, bearer] of bearers) {
      const got = await status(method, url, bearer);
      assert.ok(got === 299 || got === 403, `${method} ${url} as ${role}: ${got}`);
      if (got === 299) may.push(role);
    }
    const narrow = (await status(method, url, bound)) === 299;
    const who = scope === 'public' ? 'anybody' : `${may.join(' ')}${narrow ? ' (bound, too)' : ''}`;
    lines.push(`${method} ${url} [${scope}] ${who}`);
  }
  const found = `${lines.toSorted().join('\n')}\n`;
  if (process.env['LOCKSTEP_WRITE_GOLDEN']) writeFileSync(golden, found);
  // A route that is new or has another scope: look at the line, then write the file with LOCKSTEP_WRITE_GOLDEN=1.
  assert.equal(found, readFileSync(golden, 'utf8'));
});

test('HEAD is as GET', async () => {
  const heads = routes.filter(({ method }) => method === 'HEAD');
  assert.ok(heads.length > 10);
  for (const { url, scope } of heads)
    assert.equal(scope, own.find((route) => route.method === 'GET' && route.url === url)?.scope, url);
});

test('each scope opens the routes that name it, and no other', async () => {
  const known = own.filter(({ scope }) => scope !== 'public' && scope !== 'any');
  for (const scope of scopes) {
    const bearer = await token(`only-${scope.replace(':', '-')}`, { scopes: [scope] });
    for (const route of known)
      assert.equal(
        await status(route.method, route.url, bearer),
        route.scope === scope ? 299 : 403,
        `${scope}: ${route.url}`,
      );
  }
});
