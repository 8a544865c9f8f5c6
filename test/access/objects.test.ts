import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { served } from '../http/served.ts';

/**
 * Broken object-level authorisation is what APIs fail at most: a token that is bound to one sync must not learn of
 * another by any route, id, filter or list. Every route that lets such tokens in is named here.
 */
const { ask, token, run, store, url, admin } = await served();
const diff = await run({ kind: 'diff', sync: 'items' });
const planned = await run({ kind: 'plan', sync: 'items' });
const plan: string = planned.plan;
const synced = await run(
  { kind: 'sync', sync: 'items', max_changes: 10, allow_deletes: 5 },
  { 'idempotency-key': 'all' },
);
await run({ kind: 'diff', sync: 'strict' });
await run({ kind: 'diff', sync: 'look' });
const bound = await token('bound', { role: 'admin', syncs: ['look'] });
const entity = await token('entity', { role: 'admin', records: ['items'] });

const hash = (await ask('GET', `/api/v1/plans/${plan}`)).headers.get('etag') ?? '""';
const change: string = (await ask('GET', `/api/v1/changes?run=eq.${synced.id}`)).body.data[0].id;
const write = { 'idempotency-key': 'k', 'if-match': hash };
const ofOthers: readonly (readonly [method: string, path: string, json?: unknown])[] = [
  ['GET', '/api/v1/syncs/items'],
  ['GET', '/api/v1/syncs/items/status'],
  ['GET', '/api/v1/syncs/items/differences'],
  ['POST', '/api/v1/syncs/items/pause'],
  ['POST', '/api/v1/syncs/items/resume'],
  ['POST', '/api/v1/syncs/items/run', {}],
  ['GET', `/api/v1/runs/${diff.id}`],
  ['GET', `/api/v1/runs/${diff.id}/differences`],
  ['POST', `/api/v1/runs/${diff.id}/cancel`],
  ['POST', '/api/v1/runs', { kind: 'diff', sync: 'items' }],
  ['POST', '/api/v1/runs', { kind: 'sync', sync: 'items' }],
  ['GET', `/api/v1/plans/${plan}`],
  ['GET', `/api/v1/plans/${plan}/items`],
  ['POST', `/api/v1/plans/${plan}/approve`, {}],
  ['POST', `/api/v1/plans/${plan}/apply`, {}],
  ['GET', `/api/v1/changes?run=eq.${synced.id}`],
  ['GET', `/api/v1/changes/${encodeURIComponent(change)}`],
  ['POST', '/api/v1/changes/revert', { run: synced.id }],
  ['GET', '/api/v1/history?sync=items&key=1'],
  ['GET', '/api/v1/explain?sync=items&key=1'],
  ['POST', '/api/v1/quarantine/drop', { sync: 'strict' }],
  ['POST', '/api/v1/quarantine/retry', { sync: 'strict' }],
];

test('what belongs to another sync does not exist for a token that is bound to one', async () => {
  const seen = async (who: string) => {
    const statuses: Record<string, number> = {};
    for (const [method, path, json] of ofOthers) {
      const { status, text } = await ask(method, path, { token: who, headers: write, ...(json ? { json } : {}) });
      statuses[`${method} ${path}`] = status;
      assert.ok(!text.includes('inactive'), `${path} tells a value`);
    }
    return statuses;
  };
  const before = (await store.runs.list({}, { signal: new AbortController().signal })).length;
  for (const who of [bound, entity])
    for (const [what, status] of Object.entries(await seen(who)))
      assert.ok(status === 404 || (what.endsWith('/runs') && status === 422), `${what}: ${status}`);
  assert.equal((await store.runs.list({}, { signal: new AbortController().signal })).length, before);
  // The same paths lead somewhere for who is bound to nothing.
  for (const [method, path] of ofOthers.filter(([m]) => m === 'GET'))
    assert.equal((await ask(method, path)).status, 200, path);
});

test('ids, names and filters of others answer as ones that never were', async () => {
  const same = async (real: string, made: string): Promise<void> => {
    const [one, other] = [await ask('GET', real, { token: bound }), await ask('GET', made, { token: bound })];
    const words = (reply: typeof one, id: string) => String(reply.body.detail).replaceAll(id, 'ID');
    assert.equal(one.status, other.status);
    assert.equal(words(one, real.split('/').at(-1)!), words(other, made.split('/').at(-1)!));
    assert.equal(one.body.hint, other.body.hint);
  };
  await same(`/api/v1/runs/${diff.id}`, `/api/v1/runs/${diff.id.slice(0, -1)}0x`);
  await same(`/api/v1/plans/${plan}`, `/api/v1/plans/${plan.slice(0, -1)}0x`);
  await same('/api/v1/syncs/items', '/api/v1/syncs/itemz');
});

test('lists show what a token is bound to and nothing else, whatever is asked for', async () => {
  const syncs = async (path: string, who: string): Promise<readonly string[]> => {
    const { body, text } = await ask('GET', path, { token: who });
    assert.ok(Array.isArray(body.data), text);
    return [...new Set(body.data.map((item: { sync?: string; name?: string }) => item.sync ?? item.name))] as string[];
  };
  assert.deepEqual(await syncs('/api/v1/syncs', bound), ['look']);
  assert.deepEqual(await syncs('/api/v1/syncs', entity), []);
  assert.deepEqual(await syncs('/api/v1/runs', bound), ['look']);
  for (const path of ['/api/v1/runs', '/api/v1/plans', '/api/v1/quarantine']) {
    assert.ok(
      (await syncs(path, bound)).every((sync) => sync === 'look'),
      path,
    );
    assert.deepEqual(await syncs(path, entity), [], path);
  }
  for (const path of ['/api/v1/runs?sync=eq.items', '/api/v1/plans?sync=eq.items', '/api/v1/quarantine?sync=eq.strict'])
    for (const who of [bound, entity]) {
      const { body } = await ask('GET', path, { token: who });
      assert.deepEqual(body.data ?? [], [], path);
    }
  const cursor = (await ask('GET', '/api/v1/runs?limit=1')).body.page.next_cursor as string;
  const carried = await ask('GET', `/api/v1/runs?limit=1&cursor=${encodeURIComponent(cursor)}`, { token: bound });
  assert.ok(carried.status === 400 || carried.body.data.every((r: { sync: string }) => r.sync === 'look'));
});

test('what is about the whole installation is not for who is bound', async () => {
  for (const path of ['/api/v1/audit', '/api/v1/audit/head', '/api/v1/tokens', '/api/v1/endpoints'])
    for (const who of [bound, entity]) assert.equal((await ask('GET', path, { token: who })).status, 403, path);
});

test('a stream of events tells of bound syncs only', async () => {
  const heard = async (who: string, until: RegExp): Promise<string> => {
    const abort = new AbortController();
    const reply = await fetch(`${url}/api/v1/events?after=0`, {
      headers: { authorization: `Bearer ${who}` },
      signal: abort.signal,
    });
    let text = '';
    for await (const part of reply.body!.pipeThrough(new TextDecoderStream())) {
      text += part;
      if (until.test(text)) break;
    }
    abort.abort();
    return text;
  };
  const last = /run\.finished[\s\S]*?"sync":"look"/;
  const all = await heard(admin, last);
  assert.ok(all.includes('"sync":"items"'), 'who is bound to nothing hears of it');
  const some = await heard(bound, last);
  assert.doesNotMatch(some, /"sync":"(?!look")|syncs\/(?!look\b)/);
  for (const id of [diff.id, synced.id, plan]) assert.ok(!some.includes(id), id);
});

test('no route that lets bound tokens in tells of what they are not bound to, whichever ids it is given', async () => {
  const open = readFileSync(new URL('routes.golden.txt', import.meta.url), 'utf8')
    .split('\n')
    .flatMap((line) => /^GET (\S+) .*\(bound, too\)$/.exec(line)?.[1] ?? [])
    .filter((path) => path !== '/api/v1/events' && !path.includes('/users/'));
  assert.ok(open.length > 15, `saw only ${open.length} routes`);
  const values: Readonly<Record<string, string>> = { name: 'items', entity: 'items', key: '1' };
  for (const path of open)
    for (const id of path.includes(':id') ? [diff.id, plan, change] : ['']) {
      const filled = path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(values[name] ?? id));
      for (const query of ['', '?sync=items', '?sync=items&key=1', `?run=eq.${synced.id}`, '?sync=eq.items'])
        for (const who of [bound, entity]) {
          const { status, text } = await ask('GET', filled + query, { token: who });
          assert.ok([200, 400, 404].includes(status), `${filled}${query}: ${status}`);
          assert.doesNotMatch(text, /"sync":"(items|strict)"|"name":"(items|strict)"|inactive/, filled + query);
        }
    }
});
