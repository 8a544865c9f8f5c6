import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import type { Routes } from '../../src/http/api.ts';
import { metrics } from '../../src/http/routes/metrics.ts';
import { cuttingProxy } from '../faults/proxy.ts';
import { type Ask, recordsService } from '../records/service.ts';
import { testDatabase } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import { o } from '../store/plain.ts';

const database = await testDatabase();
const control = await testDatabase();
await database.query(`
  create table items (id int primary key, tenant text not null, name text not null, secret text not null default 's');
  insert into items select i, case when i % 2 = 0 then 'acme' else 'other' end, 'n' || i from generate_series(1, 40) i;
  -- reading a row of it takes as long as the lock is held, after it has been decided which rows there are
  create function held(value text) returns text language plpgsql volatile as
    $$ begin perform pg_advisory_xact_lock_shared(77); return value; end $$;
  create view slowly as select id, held(name) as name from items offset 0`);
const unlimited = 'server: { rate_limit: false }';
const yaml = (cache: string): string => `version: 1
endpoints: { database: { url: "\${env:DATABASE_URL}", writable: true } }
${cache}
records:
  items: { table: items, mask: { secret: { unless: records:read_masked } }, aliases: ["/of/{tenant}/items"] }
  mine: { table: items, row_filter: "tenant = \${principal.tenant}" }
  slowly: { table: slowly, key: id }
  plain: { table: items, cache: false }
`;
const env = { DATABASE_URL: database.url };
const beside = { control };
/** Requests that the app of `one` has seen. */
let seen = 0;
const seeing: Routes = (app) => {
  app.addHook('onRequest', (_request, _reply, done) => {
    seen++;
    done();
  });
};
const one = await recordsService(yaml(`cache: { ttl: 300s }\n${unlimited}`), env, [metrics, seeing], beside);
const two = await recordsService(yaml('cache: { ttl: 300s }'), env, [], beside);
const redis = await startRedis();
/** Cuts what is sent to Redis once it is told to. */
let cutting = false;
const proxy = redis && (await cuttingProxy(redis.url, () => (cutting ? 'cut' : 'pass')));
const sharing = `cache: { ttl: 300s, max_bytes: 0, redis: "\${env:REDIS_URL}" }`;
const withRedis = (more = ''): ReturnType<typeof recordsService> =>
  recordsService(yaml(`${sharing}\n${more}`), { ...env, REDIS_URL: proxy!.url }, [], beside);
const three = redis && (await withRedis());
const four = redis && (await withRedis(unlimited));
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await control[Symbol.asyncDispose]();
});

const secretOf = async (name: string, wish: object): Promise<readonly Ask[]> => {
  const first = await one.secret(name, wish);
  return [one, two, ...(three ? [three, four!] : [])].map((service) => service.as(first));
};
const [reader, other, sharer, sharer2] = (await secretOf('reader', { scopes: ['records:read'] })) as readonly [
  Ask,
  Ask,
  Ask,
  Ask,
];
const [privileged] = (await secretOf('privileged', { scopes: ['records:read', 'records:read_masked'] })) as readonly [
  Ask,
];
const [acme] = (await secretOf('acme', { scopes: ['records:read'], claims: { tenant: 'acme' } })) as readonly [Ask];
const [others] = (await secretOf('others', { scopes: ['records:read'], claims: { tenant: 'other' } })) as readonly [
  Ask,
];
const [writer] = (await secretOf('writer', { scopes: ['records:read', 'records:write'] })) as readonly [Ask];

/** `hit`, `miss`, `shared` or `bypass`. */
const said = ({ headers }: { readonly headers: Headers }): string | undefined =>
  headers
    .get('cache-status')
    ?.replace(/^lockstep; (fwd=)?/, '')
    .replace(/; (stored|ttl=\d+)/g, '')
    .replace('hit; detail=redis', 'shared');
/** An entity is known after the first request for it; until then nothing of it is kept. */
const known = async (ask: Ask, ...paths: readonly string[]): Promise<void> => {
  for (const path of paths) assert.equal((await ask('GET', path)).status, 200);
};
for (const ask of [reader, other, ...(redis ? [sharer, sharer2] : [])]) await known(ask, '/records/items?limit=1');
await known(acme, '/records/mine?limit=1');

/** Changes the name of an item over the API. */
const rename = async (id: number, name: string, ask = writer): Promise<void> => {
  const seen = await ask('GET', `/records/plain/${id}`);
  const { status, text } = await ask('PATCH', `/records/plain/${id}`, {
    body: { name },
    headers: { 'if-match': seen.headers.get('etag')! },
  });
  assert.equal(status, 200, text);
};

test('the second answer is the first one, with its ETag and its age, and 304 to who has it', async () => {
  for (const path of ['/records/items/1', '/records/items?limit=3&sort=-name', '/of/acme/items?limit=2']) {
    const first = await reader('GET', path);
    assert.equal(said(first), 'miss', path);
    const second = await reader('GET', path);
    assert.equal(said(second), 'hit', path);
    assert.equal(second.text, first.text);
    for (const name of ['etag', 'link', 'content-type', 'vary', 'cache-control', 'x-content-type-options'])
      assert.equal(second.headers.get(name), first.headers.get(name), name);
    assert.equal(second.headers.get('cache-control'), 'private, no-cache');
    assert.match(second.headers.get('age')!, /^\d$/);
    const again = await reader('GET', path, { headers: { 'if-none-match': second.headers.get('etag')! } });
    assert.deepEqual([again.status, again.text, said(again)], [304, '', 'hit']);
    const anew = await reader('GET', path, { headers: { 'cache-control': 'no-cache' } });
    assert.equal(said(anew), 'miss');
  }
  // the same question in another order, and the next page of its answer
  const a = await reader('GET', '/records/items?tenant=eq.acme&name=ne.n2&limit=2');
  const b = await reader('GET', '/records/items?limit=2&name=ne.n2&tenant=eq.acme');
  assert.deepEqual([said(a), said(b), b.text], ['miss', 'hit', a.text]);
  const next = await reader(
    'GET',
    `/records/items?limit=2&name=ne.n2&tenant=eq.acme&cursor=${b.json.page.next_cursor}`,
  );
  assert.deepEqual(
    next.json.data.map((r: { id: number }) => r.id),
    [8, 10],
  );
  // how rows are counted is another question
  const counted = await reader('GET', '/records/items?limit=1', { headers: { prefer: 'count=exact' } });
  const recounted = await reader('GET', '/records/items?limit=1', { headers: { prefer: 'count=exact' } });
  assert.deepEqual([said(recounted), recounted.json.page.count], ['hit', 40]);
  assert.equal(recounted.headers.get('preference-applied'), counted.headers.get('preference-applied'));
  assert.equal((await reader('GET', '/records/items?limit=1')).json.page.count, undefined);
  // what is wrong stays wrong, and what is not kept says nothing of it
  assert.equal((await reader('GET', '/records/items/1', { headers: { accept: 'text/html' } })).status, 406);
  assert.equal((await reader('GET', '/records/items/999')).status, 404);
  assert.equal((await reader('GET', '/records/plain/1')).headers.get('cache-status'), null);
});

test('what is kept goes out without the app, as the app would send it', async () => {
  const own = (headers: Headers): Record<string, string | undefined> => {
    const sent = [...headers].filter(([name]) => !/^(date|x-request-id|age|keep-alive|ratelimit.*)$/.test(name));
    return Object.fromEntries(
      sent.map(([name, value]) => {
        // cursors are other ones in each process
        if (name === 'link') return [name, value.replace(/cursor=[\w-]+/, 'cursor=')];
        return [name, name === 'etag' && headers.has('link') ? undefined : value.replace(/ttl=\d+/, 'ttl=')];
      }),
    );
  };
  for (const path of ['/records/items/21', '/records/items?limit=3&sort=-name']) {
    for (const ask of [reader, other]) await known(ask, path);
    const before = seen;
    const early = await reader('GET', path, { headers: { 'x-request-id': 'early.1' } });
    assert.equal(seen, before, 'the app was asked');
    assert.equal(early.headers.get('x-request-id'), 'early.1');
    const late = await reader('GET', path, { headers: { accept: 'application/json;q=0.9' } });
    assert.equal(seen, before + 1);
    assert.deepEqual(own(early.headers), own(late.headers));
    assert.equal(early.headers.get('x-frame-options'), 'DENY');
    assert.deepEqual(early.json.data ?? early.json, late.json.data ?? late.json);
    // whoever wants something else of it is answered by the app
    for (const headers of [
      { 'if-none-match': '"x"' },
      { 'cache-control': 'no-cache' },
      { accept: 'text/html' },
    ] as Record<string, string>[])
      await reader('GET', path, { headers });
    assert.equal(seen, before + 4);
  }
});

test('nobody is shown what was kept for callers who may see other rows or columns', async () => {
  const path = '/records/items/3';
  const open = await privileged('GET', path);
  assert.equal(open.json.secret, 's');
  const closed = await reader('GET', path);
  assert.deepEqual([said(closed), closed.json.secret], ['miss', null]);
  assert.equal((await privileged('GET', path)).json.secret, 's');
  for (const ask of [acme, others]) {
    const list = await ask('GET', '/records/mine?limit=50');
    const tenants = new Set(list.json.data.map((r: { tenant: string }) => r.tenant));
    assert.deepEqual([...tenants], [ask === acme ? 'acme' : 'other']);
    assert.equal(said(list), 'miss');
  }
  assert.equal((await acme('GET', '/records/mine/2')).status, 200);
  assert.equal((await acme('GET', '/records/mine/2')).status, 200);
  assert.equal((await others('GET', '/records/mine/2')).status, 404);
  // no claim at all, and bound to other entities
  assert.equal((await reader('GET', '/records/mine/2')).status, 403);
  const bound = await one.token('bound', { scopes: ['records:read'], records: ['plain'] });
  assert.equal((await bound('GET', path)).status, 404);
  assert.equal((await one.as(undefined)('GET', path)).status, 401);
});

test('each write of ours is seen by every instance when it has been answered', async () => {
  const asks = [reader, other, ...(redis ? [sharer, sharer2] : [])];
  const names = async (path = '/records/items/5'): Promise<readonly string[]> =>
    Promise.all(asks.map(async (ask) => (await ask('GET', path)).text));
  for (let i = 0; i < 5; i++) {
    await names();
    assert.equal(said(await reader('GET', '/records/items/5')), 'hit');
    await rename(5, `name ${i}`);
    for (const text of await names()) assert.match(text, new RegExp(`"name":"name ${i}"`));
  }
  const list = '/records/items?id=gte.100&limit=10';
  await names(list);
  const created = await writer('POST', '/records/plain', {
    body: { id: 100, tenant: 'acme', name: 'new' },
    headers: { 'idempotency-key': 'cache-100' },
  });
  assert.equal(created.status, 201, created.text);
  for (const text of await names(list)) assert.match(text, /"id":100,/);
  const batch = await writer('POST', '/records/plain:batch', {
    body: { atomic: true, items: [{ op: 'delete', key: 100, if_match: created.headers.get('etag') }] },
  });
  assert.equal(batch.json.summary?.ok, 1, batch.text);
  for (const text of await names(list)) assert.doesNotMatch(text, /"id":100,/);
});

test('a server that began without a cache tells of its writes as soon as its configuration has one', async () => {
  const late = await recordsService(yaml(''), env, [], beside);
  const path = '/records/items/9';
  await late.reload(yaml('cache: { ttl: 300s }'));
  await known(reader, path);
  assert.equal(said(await reader('GET', path)), 'hit');
  await rename(9, 'renamed there', late.as(await one.secret('late', { scopes: ['records:read', 'records:write'] })));
  const seen = await reader('GET', path);
  assert.deepEqual([seen.json.name, said(seen)], ['renamed there', 'miss']);
});

test('what was read before a write, and answered after it, is not kept', async () => {
  await known(reader, '/records/slowly?limit=1');
  const path = '/records/slowly/7';
  const before = (await reader('GET', path)).json.name;
  await rename(8, 'x'); // nothing is kept any more
  await database.query('select pg_advisory_lock(77)');
  const slow = reader('GET', path);
  const waits = `select from pg_locks where locktype = 'advisory' and objid = 77 and not granted
    and database = (select oid from pg_database where datname = current_database())`;
  while ((await database.query(waits)).rowCount === 0);
  await rename(7, 'renamed');
  await database.query('select pg_advisory_unlock(77)');
  assert.equal((await slow).json.name, before, 'it began before the write');
  const next = await reader('GET', path);
  assert.deepEqual([next.json.name, said(next)], ['renamed', 'miss']);
});

test('while a write is under way nothing is kept, and nothing that is kept is shown', async () => {
  const path = '/records/items/9';
  await known(reader, path, path);
  const { server } = (await one.endpoints.shared('database', o)).fingerprint;
  const ended = await two.store.generations.outdate(server, o);
  assert.equal(said(await reader('GET', path)), 'bypass');
  assert.equal(said(await other('GET', path)), 'bypass');
  await ended(o);
  assert.equal(said(await reader('GET', path)), 'miss');
  assert.equal(said(await reader('GET', path)), 'hit');
  // elsewhere nothing has changed; but of a server that has no name of its own it may be this one
  const elsewhere = await two.store.generations.outdate('7001', o);
  assert.equal(said(await reader('GET', path)), 'hit');
  const anywhere = await two.store.generations.outdate('at 10.0.0.1:5432', o);
  assert.equal(said(await reader('GET', path)), 'bypass');
  await elsewhere(o);
  await anywhere(o);
  assert.equal(said(await reader('GET', path)), 'miss');
});

test('a step of a run, before it is written and after, puts what is kept out of date; so do a copy and a sync that migrates', async () => {
  const { read } = one.store.generations;
  const at = async (): Promise<readonly string[]> => {
    const now = (await read(o))!;
    return [now.of('s1'), now.of('s2'), now.of(undefined)];
  };
  const changed = (a: readonly string[], b: readonly string[]): readonly boolean[] => a.map((x, i) => x !== b[i]);
  const steps = [
    `insert into lockstep_control.run (id, kind, correlation, actor, started, target)
       values ('r_c', 'sync', 'c', 'me', now(), '{"name":"t"}'), ('r_k', 'copy', 'c', 'me', now(), '{"fingerprint":{"server":"s1"}}'),
         ('r_m', 'sync', 'c', 'me', now(), '{"fingerprint":{"server":"s1"}}'), ('r_n', 'sync', 'c', 'me', now(), '{"fingerprint":{"server":"s1"}}')`,
    `insert into lockstep_control.plan (id, items, hash, header)
       values ('p_c', 1, 'h', '{"mode":"mirror","fingerprint":{"server":"s1"}}'), ('p_t', 1, 'h', '{"mode":"two_way","fingerprint":{"server":"s1"}}')`,
    `update lockstep_control.run set plan = 'p_c', checkpoint = '{"begun":true,"marked":["1"]}' where id = 'r_n'`,
    `update lockstep_control.run set state = 'done' where id = 'r_n'`,
  ];
  for (const sql of steps) {
    const before = await at();
    await control.query(sql);
    assert.deepEqual(changed(before, await at()), [false, false, false], sql);
  }
  for (const sql of [
    `insert into lockstep_control.step (run, step, plan, items, intended_at) values ('r_c', 1, 'p_c', '{[1,2)}', now())`,
    `update lockstep_control.step set state = 'done', settled_at = now() where run = 'r_c'`,
    `update lockstep_control.run set state = 'done' where id = 'r_k'`,
    // a sync that migrates copies, too
    `update lockstep_control.run set checkpoint = '{"made":["t"],"steps":{"t":[]},"refused":{},"leftOut":[]}' where id = 'r_m'`,
    `update lockstep_control.run set state = 'done' where id = 'r_m'`,
  ]) {
    const before = await at();
    await control.query(sql);
    assert.deepEqual(changed(before, await at()), [true, false, true], sql);
  }
  // of a two-way sync either side may be the one that is written
  const before = await at();
  await control.query(
    `insert into lockstep_control.step (run, step, plan, items, intended_at) values ('r_c', 2, 'p_t', '{[1,2)}', now())`,
  );
  assert.deepEqual(changed(before, await at()), [true, true, true]);
});

test('a foreign write is seen when the time is over or by who asks anew, and never overwritten by what is kept', async () => {
  const path = '/records/items/11';
  const kept = await writer('GET', path);
  await database.query(`update items set name = 'foreign' where id = 11`);
  const stale = await writer('GET', path);
  assert.deepEqual([said(stale), stale.text], ['hit', kept.text]);
  const lost = await writer('PATCH', path, {
    body: { name: 'mine' },
    headers: { 'if-match': stale.headers.get('etag')! },
  });
  assert.equal(lost.status, 412);
  const anew = await writer('GET', path, { headers: { 'cache-control': 'no-cache' } });
  assert.equal(anew.json.name, 'foreign');
  assert.equal((await writer('GET', path)).json.name, 'foreign');
});

test('a revoked token is shown nothing that is kept', async () => {
  const leaving = await one.secret('leaving', { scopes: ['records:read'] });
  const asks = [one.as(leaving), two.as(leaving)];
  for (const ask of asks) await known(ask, '/records/items/13', '/records/items/13');
  await one.store.tokens.revoke('leaving', Date.now(), o);
  // another process believes a token for a second
  for (const ask of asks) for (;;) if ((await ask('GET', '/records/items/13')).status === 401) break;
});

test('comparing, planning, writing and proving read past it: nothing of them can reach it', () => {
  const files = globSync('src/{diff,plan,apply,resolve,copy,work,service,engines,backup,transform,store}/**/*.ts');
  assert.ok(files.length > 100);
  for (const file of files) assert.doesNotMatch(readFileSync(file, 'utf8'), /from '[^']*\/cache\//, file);
});

test('metrics count what came of each question', async () => {
  const authorization = `Bearer ${await one.secret('watcher', { scopes: ['monitoring:read'] })}`;
  const counts = async (): Promise<Readonly<Record<string, number>>> => {
    const text = await (await fetch(`${one.url}/metrics`, { headers: { authorization } })).text();
    const found = [...text.matchAll(/^lockstep_cache_requests_total\{outcome="(\w+)"\} (\d+)$/gm)];
    assert.match(text, /^lockstep_cache_bytes [1-9]\d*$/m);
    return Object.fromEntries(found.map((m) => [m[1]!, Number(m[2])]));
  };
  await known(reader, '/records/items/17');
  const before = await counts();
  await known(reader, '/records/items/17', '/records/items/17', '/records/items/19');
  const now = await counts();
  assert.deepEqual([now['hit']! - before['hit']!, now['miss']! - before['miss']!], [2, 1]);
});

if (redis) {
  test('what one instance has read another finds in Redis, and when that is gone both ask the database', async () => {
    const path = '/records/items/15';
    const [first, second] = [await sharer('GET', path), await sharer2('GET', path)];
    assert.deepEqual([said(first), said(second)], ['miss', 'shared']);
    assert.equal(second.text, first.text);
    assert.equal(second.headers.get('etag'), first.headers.get('etag'));
    cutting = true;
    for (const ask of [sharer, sharer2, sharer]) {
      const found = await ask('GET', path);
      assert.deepEqual([found.status, said(found), found.text], [200, 'miss', first.text]);
    }
    assert.ok(three!.said.includes('redis does not answer, answers are kept in memory only'));
    await rename(15, 'without redis');
    assert.equal((await sharer2('GET', path)).json.name, 'without redis');
  });
}
