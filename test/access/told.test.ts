import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { makeToken, type TokenWish } from '../../src/access/make-token.ts';
import { events } from '../../src/http/routes/events.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { recordsService } from '../records/service.ts';
import { testDatabase } from '../servers/postgres.ts';
import { o } from '../store/plain.ts';

/** What is told of records beside the records: by events, and by the document of the API. */
const database = await testDatabase();
after(() => database[Symbol.asyncDispose]());
await database.query('create table t (id int primary key, tenant text, pigment text)');
const { url, store } = await recordsService(
  `version: 1
records:
  open: { table: t, aliases: ["/hues/{pigment}/open"] }
  other: { table: t }
  mine: { table: t, row_filter: "tenant = \${principal.tenant}" }
`,
  { DATABASE_URL: database.url },
  [events],
);
const secret = async (name: string, wish: Omit<TokenWish, 'name'>): Promise<string> =>
  (await makeToken(store.tokens, { name, ...wish }, { actor: 'test' }, systemClock, o)).secret;
const get = (path: string, bearer?: string): Promise<Response> =>
  fetch(url + path, bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } });

test('events of records are for who reads them, and never told where a row filter hides some', async () => {
  const names = ['mine', 'other', 'open', 'gone'];
  const event = { at: 0, sync: null, correlation: null };
  await store.events.append(
    [
      ...names.map((name) => ({
        ...event,
        type: 'record.updated',
        subject: `records/${name}/1`,
        data: { entity: name },
      })),
      { ...event, type: 'run.started', sync: 'none', subject: 'runs/last', data: {} },
      { ...event, type: 'record.updated', subject: 'records/open/last', data: { entity: 'open' } },
    ],
    o,
  );
  const heard = async (name: string, wish: Omit<TokenWish, 'name'>, until: string): Promise<readonly string[]> => {
    const reply = await get('/api/v1/events?after=0', await secret(name, wish));
    let text = '';
    for await (const part of reply.body!.pipeThrough(new TextDecoderStream())) {
      text += part;
      if (text.includes(`"subject":"${until}"`)) break;
    }
    return [...text.matchAll(/"subject":"([^"]+)"/g)].map((m) => m[1]!);
  };
  const viewer = { role: 'viewer', claims: { tenant: 'acme' } };
  const all = ['records/other/1', 'records/open/1', 'runs/last', 'records/open/last'];
  assert.deepEqual(await heard('viewer', viewer, 'records/open/last'), all);
  assert.deepEqual(await heard('bound', { role: 'viewer', records: ['open', 'mine'] }, 'records/open/last'), [
    'records/open/1',
    'records/open/last',
  ]);
  assert.deepEqual(await heard('events-only', { scopes: ['events:read'] }, 'runs/last'), ['runs/last']);
});

test('the document names entities to who may read them, and to nobody else', async () => {
  const paths = ['records/open', 'records/other', 'records/mine', 'hues/'];
  const shown = async (bearer?: string): Promise<readonly string[]> => {
    const reply = await get('/openapi.json', bearer);
    assert.equal(reply.status, 200);
    const text = await reply.text();
    const page = await (await get('/docs', bearer)).text();
    const found = paths.filter((path) => text.includes(`/api/v1/${path}`));
    assert.deepEqual(
      found,
      paths.filter((path) => page.includes(`/api/v1/${path}`)),
    );
    assert.equal(text.includes('pigment'), found.length > 0);
    assert.ok(text.includes('/api/v1/records/{entity}'));
    return found;
  };
  assert.deepEqual(await shown(), []);
  assert.deepEqual(await shown('lsk_wrong'), []);
  assert.deepEqual(await shown(await secret('no-reader', { scopes: ['runs:read'] })), []);
  assert.deepEqual(await shown(await secret('bound-to-other', { role: 'viewer', records: ['other'] })), [
    'records/other',
  ]);
  assert.deepEqual(await shown(await secret('bound-to-open', { role: 'viewer', records: ['open'] })), [
    'records/open',
    'hues/',
  ]);
  assert.deepEqual(await shown(await secret('sees-all', { role: 'viewer' })), paths);
  assert.deepEqual(await shown(), []);
});
