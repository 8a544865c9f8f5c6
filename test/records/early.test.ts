import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { testDatabase } from '../servers/postgres.ts';
import { type Answer, type Ask, recordsService, seenRequests } from './service.ts';

const database = await testDatabase();
const control = await testDatabase();
await database.query(`
  create table items (id bigint primary key, tenant text not null, name text, amount numeric(12,2), part bytea,
    at timestamptz, doc jsonb, ratio float8, secret text not null default 's');
  insert into items select i, case when i % 2 = 0 then 'acme' else 'other' end,
    case i when 3 then null when 4 then E'quote " back \\\\ line \\n tab \\t \\u0001' when 5 then 'Größe 🚲' else 'n' || i end,
    i + 0.5, decode(lpad(to_hex(i), 4, '0'), 'hex'), timestamptz '2026-01-01 00:00:00.5+00' + i * interval '1 hour',
    jsonb_build_object('n', i), i / 8.0 from generate_series(1, 40) i;
  insert into items (id, tenant, name) values (9007199254740993, 'acme', 'large');
  create table pairs (a int, b text, v int, primary key (a, b));
  insert into pairs values (1, 'x', 7);
  create sequence asked;
  create view odd as select id, nextval('asked') as asked, 1 / (id - 13) as one from items;
  create function held(value text) returns text language plpgsql volatile as
    $$ begin perform pg_advisory_xact_lock_shared(78); return value; end $$;
  create view slowly as select id, held(name) as name from items offset 0`);
const yaml = (limit: string): string => `version: 1
endpoints: { database: { url: "\${env:DATABASE_URL}", writable: true } }
cache: { ttl: 300s }
server: { rate_limit: ${limit} }
records:
  items: { table: items, cache: false, mask: { secret: { unless: records:read_masked } }, aliases: ["/of/{tenant}/items"] }
  mine: { table: items, cache: false, row_filter: "tenant = \${principal.tenant}" }
  pairs: { table: pairs, cache: false }
  odd: { table: odd, key: id, cache: false }
  slowly: { table: slowly, key: id, cache: false }
  kept: { table: items }
`;
const env = { DATABASE_URL: database.url };
const seen = seenRequests();
const one = await recordsService(yaml('false'), env, [seen.routes], { control });
const two = await recordsService(yaml('{ requests: 6, per: 1h }'), env, [seen.routes], { control });
after(async () => {
  await database[Symbol.asyncDispose]();
  await control[Symbol.asyncDispose]();
});

const callers: { readonly name: string; readonly secret: string; readonly early: Ask; readonly late: Ask }[] = [];
for (const [name, wish] of Object.entries({
  plain: { scopes: ['records:read'] },
  privileged: { scopes: ['records:read', 'records:read_masked'] },
  acme: { scopes: ['records:read'], claims: { tenant: 'acme' } },
  other: { scopes: ['records:read'], claims: { tenant: 'other' } },
  bound: { scopes: ['records:read'], records: ['pairs'] },
})) {
  const secret = await one.secret(name, wish as object);
  const early = one.as(secret);
  // whoever says in which form they want it is answered by the app
  const late: Ask = (method, path) => early(method, path, { headers: { accept: 'application/json;q=0.9' } });
  callers.push({ name, secret, early, late });
}
const caller = (name: string) => callers.find((c) => c.name === name)!;

/** What both must have alike: no cursor is made twice. */
const shown = ({ status, headers, text }: Answer) => ({
  status,
  text: text.replace(/"next_cursor":"[\w-]+"/, '"next_cursor":"…"').replace(/"correlation[^,]*|"instance"[^,}]*/g, ''),
  headers: Object.fromEntries(
    [...headers]
      .filter(([name]) => !/^(date|x-request-id|keep-alive)$/.test(name))
      .map(([name, value]) => [name, name === 'content-length' ? '' : value.replace(/cursor=[\w-]+/, 'cursor=')]),
  ),
});

/** The entity and the caller are known after the first request. */
const know = async (ask: Ask): Promise<void> => {
  for (const entity of ['items', 'mine', 'pairs', 'odd', 'slowly', 'kept']) await ask('GET', `/records/${entity}/none`);
};

const alike = [
  ...['items/1', 'items/3', 'items/4', 'items/5', 'items/9007199254740993', 'items/2?fields=id,name', 'pairs/1,x'],
  ...['items?limit=3', 'items?limit=200', 'items?limit=3&sort=-name', 'items?sort=amount&fields=amount,id&limit=2'],
  ...['items?tenant=eq.acme&id=gte.4&id=lt.9', 'items?name=is.null', 'items?id=in.(4,5,6)', 'items?name=like.n1*'],
  ...['items?at=eq.2026-01-01T03:00:00.5Z', 'mine?limit=4', 'mine/4', 'mine/5', 'pairs', 'pairs?v=eq.7'],
];
/** What is wrong in some way, or for the caller, and what only the app understands. */
const wrong = [
  ...['items/999', 'items/x', 'items/1?limit=2', 'items/1?fields=nope', 'items?limit=0', 'items?limit=3&limit=4'],
  ...['items?nope=eq.1', 'items?id=1', 'items?id=eq.x', 'items?secret=eq.s', 'items?cursor=abc', 'items?sort=id,id'],
  ...['items?__proto__=eq.1', 'items?constructor=eq.1', 'pairs/1', 'pairs/1,x,2', 'none/1', 'none', 'odd/13'],
  ...[
    'items?name=eq.n%31&limit=1',
    'items?name=eq.a+b',
    'items/%31',
    'items/1/',
    'items?',
    'items?limit',
    'pairs/1%2Cx',
  ],
];

test('what is read before the app is asked is what the app would send', async () => {
  for (const { name, early, late } of callers) {
    await know(early);
    for (const path of alike) {
      seen.n = 0;
      const a = await early('GET', `/records/${path}`);
      if (a.status === 200) assert.equal(seen.n, 0, `${name} ${path}: the app saw it`);
      assert.deepEqual(shown(a), shown(await late('GET', `/records/${path}`)), `${name} ${path}`);
    }
  }
  const { early } = caller('plain');
  assert.equal((await early('GET', '/records/items/9007199254740993')).json.id, '9007199254740993');
  // a page leads to the next one
  const first = await early('GET', '/records/items?limit=2&sort=-amount&id=lt.30');
  const next = await early('GET', `/records/items?limit=2&sort=-amount&id=lt.30&cursor=${first.json.page.next_cursor}`);
  assert.deepEqual(
    [...first.json.data, ...next.json.data].map((r) => r.id),
    ['29', '28', '27', '26'],
  );
});

test('what is wrong is told by the app, in the words that it has without', async () => {
  for (const { name, early, late } of callers)
    for (const path of wrong)
      assert.deepEqual(
        shown(await early('GET', `/records/${path}`)),
        shown(await late('GET', `/records/${path}`)),
        `${name} ${path}`,
      );
  const { early } = caller('plain');
  assert.equal((await one.as(undefined)('GET', '/records/items/1')).status, 401);
  assert.equal((await one.as('lsk_nobody')('GET', '/records/items/1')).status, 401);
  assert.equal((await early('GET', '/records/items/1', { headers: { accept: 'text/html' } })).status, 406);
  const { headers } = await early('GET', '/records/items/1');
  const again = await early('GET', '/records/items/1', { headers: { 'if-none-match': headers.get('etag')! } });
  assert.deepEqual([again.status, again.text], [304, '']);
  const counted = await early('GET', '/records/items?limit=1', { headers: { prefer: 'count=exact' } });
  assert.equal(counted.json.page.count, 41);
  // what is kept stays with those who keep it
  assert.match((await early('GET', '/records/kept/1')).headers.get('cache-status')!, /miss/);
});

test('what could not be read is not read a second time', async () => {
  const { early } = caller('plain');
  const asked = async (): Promise<number> =>
    Number((await database.query(`select case when is_called then last_value else 0 end as n from asked`)).rows[0].n);
  const before = await asked();
  seen.n = 0;
  const { status, json } = await early('GET', '/records/odd/13');
  assert.deepEqual([status >= 400, seen.n, (await asked()) - before], [true, 1, 1], JSON.stringify(json));
});

test('requests are counted whichever way they are answered, and once', async () => {
  const ask = two.as(caller('plain').secret);
  const left: (string | null)[] = [];
  const apps: number[] = [];
  const waits = new Set<boolean>();
  // not known yet, known, wrong, and more than there may be
  for (const path of ['items/1', 'items/1', 'items?limit=2', 'items/999', 'items?nope=eq.1', 'items/2', 'items/3']) {
    seen.n = 0;
    const { status, headers } = await ask('GET', `/records/${path}`);
    left.push(headers.get('ratelimit-remaining'));
    apps.push(seen.n);
    waits.add(Number(headers.get('ratelimit-reset')) > 3500);
    assert.equal(headers.get('ratelimit-limit'), '6');
    assert.equal(status === 429, path === 'items/3', path);
    assert.equal(headers.get('retry-after') !== null, path === 'items/3', path);
  }
  assert.deepEqual(left, ['5', '4', '3', '2', '1', '0', '0']);
  assert.deepEqual(apps, [1, 0, 0, 1, 1, 0, 0]); // what is refused gets no further
  assert.deepEqual([...waits], [true]);
  // another caller has as many
  assert.equal(
    (await two.as(caller('other').secret)('GET', '/records/items/1')).headers.get('ratelimit-remaining'),
    '5',
  );
});

const waiting = async (): Promise<number> =>
  (
    await database.query(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`,
    )
  ).rows[0].n;

test('who goes away stops the statement', async () => {
  const { early, secret } = caller('plain');
  assert.equal((await early('GET', '/records/slowly/1')).json.name, 'n1');
  await database.query('select pg_advisory_lock(78)');
  const leaving = new AbortController();
  seen.n = 0;
  const headers = { authorization: `Bearer ${secret}` };
  const gone = assert.rejects(
    fetch(`${one.url}/api/v1/records/slowly/2`, { headers, signal: leaving.signal }),
    /abort/,
  );
  while ((await waiting()) === 0);
  leaving.abort();
  await gone;
  while ((await waiting()) > 0);
  await database.query('select pg_advisory_unlock(78)');
  assert.equal(seen.n, 0);
  assert.equal((await early('GET', '/records/slowly/2')).json.name, 'n2');
});

test('what is in hand when the server closes is answered', async () => {
  const three = await recordsService(yaml('false'), env, [seen.routes], { control });
  const { secret } = caller('plain');
  const ask = three.as(secret);
  assert.equal((await ask('GET', '/records/slowly/1')).status, 200);
  await database.query('select pg_advisory_lock(78)');
  seen.n = 0;
  const held = ask('GET', '/records/slowly/7');
  while ((await waiting()) === 0);
  const closed = three.close();
  await assert.rejects(fetch(`${three.url}/livez`), 'it takes no more requests');
  await database.query('select pg_advisory_unlock(78)');
  const { status, json, headers } = await held;
  assert.deepEqual([status, json.name, headers.get('connection'), seen.n], [200, 'n7', 'close', 0]);
  await closed;
});
