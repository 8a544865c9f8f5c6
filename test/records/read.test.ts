import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { testDatabase } from '../servers/postgres.ts';
import { recordsService } from './service.ts';

const database = await testDatabase();
after(() => database[Symbol.asyncDispose]());
await database.query(`
  create type kind as enum ('in', 'out');
  create table transactions (
    id bigint generated always as identity primary key, user_id int not null, tenant text not null,
    amount numeric(38, 8) not null, kind kind not null, status text not null default 'pending', note varchar(20),
    email text, details jsonb, blob bytea, ratio real, at timestamptz(6), local timestamp, secret text,
    check (amount <> 0));
  insert into transactions (user_id, tenant, amount, kind, status, note, email, details, blob, ratio, at, local, secret)
  select 40 + i % 3, case when i % 2 = 0 then 'acme' else 'other' end, i + 0.00000001, case when i % 4 = 0 then 'in' else 'out' end::kind,
    case when i % 5 = 0 then 'settled' else 'pending' end, case when i % 3 = 0 then null else 'n' || i end, 'u' || i || '@x.test',
    '{"n": 12345678901234567890.5}', '\\x00ff', 11.61, '2026-01-01 12:00:00.123456+00'::timestamptz + i * interval '1 hour', '2026-01-01 12:00:00', 's' || i
  from generate_series(1, 60) i`);

const { token, as, store } = await recordsService(
  `version: 1
records:
  transactions:
    table: public.transactions
    read:
      columns: [id, user_id, amount, kind, status, note, email, details, blob, ratio, at, local]
      filters: [id, user_id, amount, kind, status, note, email, at, blob]
      sort: [id, amount, status, note, email, at]
      max_page: 100
    mask: { email: { unless: records:read_masked } }
    aliases: ["/users/{user_id}/transactions"]
  named:
    table: transactions
    row_filter: "status = \${principal.name}"
  mine:
    table: transactions
    row_filter: "tenant = \${principal.tenant}"
    read: { columns: [id, amount, tenant, status] }
  both: { table: transactions, key: id }
`,
  { DATABASE_URL: database.url },
);
const reader = await token('reader', { scopes: ['records:read'] });
const privileged = await token('privileged', { scopes: ['records:read', 'records:read_masked'] });
const acme = await token('acme', { scopes: ['records:read'], claims: { tenant: 'acme' } });

test('a few characters do not make an answer or a statement large', async () => {
  for (const query of [
    '?fields=note,note',
    '/17?fields=note,id,note',
    '/17?fields=note&fields=note',
    '?amount=in.(1,1e131071)',
    '?amount=eq.1e2000',
    '?amount=gt.-1e-2001',
    `?amount=lt.${'9'.repeat(2001)}`,
  ]) {
    const { status, json, text } = await reader('GET', `/records/transactions${query}`);
    assert.deepEqual([status, json.code], [400, 'PARAMETER'], query);
    assert.match(text, query.includes('fields') ? /names a column twice/ : /up to 2000 digits/);
  }
  const { status, json, text } = await reader('GET', '/records/transactions?amount=lt.1e1999&limit=1&fields=id');
  assert.deepEqual([status, json.data.length], [200, 1], text);
});

test('a record is JSON that loses nothing: 64-bit integers and decimals are strings, JSON keeps its digits', async () => {
  const { status, json, text, headers } = await reader('GET', '/records/transactions/17');
  assert.equal(status, 200, text);
  assert.deepEqual(Object.keys(json), [
    'id',
    'user_id',
    'amount',
    'kind',
    'status',
    'note',
    'email',
    'details',
    'blob',
    'ratio',
    'at',
    'local',
  ]);
  const { details: _, ...rest } = json;
  assert.deepEqual(rest, {
    id: '17',
    user_id: 42,
    amount: '17.00000001',
    kind: 'out',
    status: 'pending',
    note: 'n17',
    email: null,
    blob: 'AP8=',
    ratio: 11.61,
    at: '2026-01-02T05:00:00.123456Z',
    local: '2026-01-01T12:00:00',
  });
  assert.ok(text.includes('"details":{"n":12345678901234567890.5}'), text);
  assert.match(headers.get('etag')!, /^"[\w-]{22}"$/);
  assert.equal(headers.get('vary'), 'authorization');
});

test('who has the record already gets 304, and its ETag changes with any column of the row', async () => {
  const first = await reader('GET', '/records/transactions/18');
  const etag = first.headers.get('etag')!;
  const again = await reader('GET', '/records/transactions/18', { headers: { 'if-none-match': `"x", ${etag}` } });
  assert.deepEqual([again.status, again.text, again.headers.get('etag')], [304, '', etag]);
  await database.query(`update transactions set secret = 'changed' where id = 18`);
  const changed = await reader('GET', '/records/transactions/18', { headers: { 'if-none-match': etag } });
  assert.equal(changed.status, 200);
  assert.notEqual(changed.headers.get('etag'), etag);
});

test('lists are filtered, sorted and paged without losing or repeating a record', async () => {
  const seen: string[] = [];
  let path: string | null =
    '/records/transactions?status=eq.pending&user_id=in.(40,41)&sort=-note,amount&limit=7&fields=id';
  let pages = 0;
  while (path !== null) {
    const { status, json, text, headers } = await reader('GET', path);
    assert.equal(status, 200, text);
    seen.push(...json.data.map((r: { id: string }) => r.id));
    assert.equal(json.page.has_more, json.page.next_cursor !== null);
    const next = /<([^>]*)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
    assert.equal(next === undefined, !json.page.has_more);
    path = next ?? null;
    pages++;
  }
  const { rows } = await database.query(
    `select id::text from transactions where status = 'pending' and user_id in (40, 41) order by note desc, amount, id`,
  );
  assert.deepEqual(
    seen,
    rows.map((r) => r.id),
  );
  assert.ok(pages > 3);
});

test('each kind of condition works, and an alias is a list with a condition of its own', async () => {
  const ids = async (query: string): Promise<string> => {
    const { status, json, text } = await reader('GET', `/records/transactions?fields=id&limit=100&${query}`);
    assert.equal(status, 200, text);
    return json.data.map((r: { id: string }) => r.id).join();
  };
  assert.equal(await ids('id=gte.58&id=lt.60'), '58,59');
  assert.equal(await ids('amount=eq.5.00000001'), '5');
  assert.equal(await ids('at=gte.2026-01-03T23:00:00Z'), '59,60');
  assert.equal(await ids('note=like.n1*&id=lte.11'), '1,10,11');
  assert.equal(await ids('note=is.null&id=lt.7'), '3,6');
  assert.equal(await ids('note=in.(n1,"n2","a,b")'), '1,2');
  assert.equal(await ids('kind=eq.in&id=lt.9'), '4,8');
  assert.equal(await ids('blob=eq.AP8=&id=eq.1'), '1');
  assert.equal(await ids("note=eq.' or 1=1 --"), '');
  const { json } = await reader('GET', '/users/42/transactions?fields=id&limit=2');
  assert.deepEqual(json.data, [{ id: '2' }, { id: '5' }]);
  assert.deepEqual((await reader('GET', '/users/nobody/transactions')).json.data, []);
  assert.equal((await reader('GET', '/users/42/transactions?user_id=eq.41')).json.data.length, 0);
});

test('counts are given when asked for, and said to be exact or estimated', async () => {
  const { json, headers } = await reader('GET', '/records/transactions?status=eq.settled&limit=1', {
    headers: { prefer: 'count=exact' },
  });
  assert.deepEqual(
    [json.page.count, json.page.count_is, headers.get('preference-applied')],
    [12, 'exact', 'count=exact'],
  );
  const about = await reader('GET', '/records/transactions?limit=1', { headers: { prefer: 'count=estimated' } });
  assert.equal(about.json.page.count_is, 'estimated');
  assert.equal(typeof about.json.page.count, 'number');
});

test('what cannot be asked for is refused with its name: nothing is passed over', async () => {
  const wrong = async (query: string, what: RegExp): Promise<void> => {
    const { status, json } = await reader('GET', `/records/transactions?${query}`);
    assert.equal(status, 400, query);
    assert.ok(['PARAMETER', 'CURSOR'].includes(json.code), json.code);
    assert.match(JSON.stringify(json), what, query);
  };
  await wrong('statuss=eq.a', /there is no parameter statuss/);
  await wrong('status=pending', /expected a condition/);
  await wrong('user_id=eq.abc', /whole number/);
  await wrong('user_id=eq.1e3', /whole number/);
  await wrong('kind=eq.sideways&limit=0', /from 1 to 100/);
  await wrong('limit=101', /from 1 to 100/);
  await wrong('limit=5&limit=6', /more than once/);
  await wrong('sort=local', /cannot be sorted by/);
  await wrong('sort=id,-id', /twice/);
  await wrong('fields=id,nope', /cannot be shown/);
  await wrong('details=eq.1', /cannot be filtered by/);
  await wrong('secret=eq.s1', /cannot be filtered by|there is no parameter/);
  await wrong('cursor=abc', /another list/);
  const { json } = await reader('GET', '/records/transactions?limit=1');
  await wrong(`limit=1&sort=-id&cursor=${json.page.next_cursor}`, /another list/);
  await wrong(`limit=1&status=eq.pending&cursor=${json.page.next_cursor}`, /another list/);
  const tampered = json.page.next_cursor.slice(0, -2) + (json.page.next_cursor.endsWith('AA') ? 'BB' : 'AA');
  await wrong(`limit=1&cursor=${tampered}`, /another list/);
  assert.equal((await reader('GET', '/records/nothing')).status, 404);
  assert.equal((await reader('GET', '/records/constructor')).status, 404);
  assert.equal((await reader('GET', '/records/transactions/99999')).status, 404);
  assert.equal((await reader('GET', '/records/transactions/abc')).status, 404);
  assert.equal((await reader('GET', '/records/transactions/17%20or%201=1')).status, 404);
  assert.equal((await reader('GET', '/records/transactions/17?x=1')).status, 400);
});

test('a masked column is null without the scope, and cannot be found out by filter, sort, cursor or count', async () => {
  assert.equal((await privileged('GET', '/records/transactions/17')).json.email, 'u17@x.test');
  assert.equal((await reader('GET', '/records/transactions/17?fields=email')).json.email, null);
  assert.equal((await reader('GET', '/records/transactions?fields=email&limit=1')).json.data[0].email, null);
  for (const query of ['email=eq.u17@x.test', 'email=is.null', 'sort=email', 'sort=-id,email', 'email=like.u1*']) {
    const { status, text } = await reader('GET', `/records/transactions?${query}`, {
      headers: { prefer: 'count=exact' },
    });
    assert.equal(status, 400, query);
    assert.ok(!text.includes('"count"'));
    assert.equal((await privileged('GET', `/records/transactions?${query}`)).status, 200, query);
  }
  const { json } = await privileged('GET', '/records/transactions?limit=2&sort=-email');
  assert.equal((await reader('GET', `/records/transactions?limit=2&cursor=${json.page.next_cursor}`)).status, 400);
  assert.ok(!Buffer.from(json.page.next_cursor, 'base64url').includes('@x.test'), 'cursors show nothing');
});

test('a row filter holds everywhere: lists, counts, single records, filters, cursors of others', async () => {
  const { json } = await acme('GET', '/records/mine?limit=200', { headers: { prefer: 'count=exact' } });
  assert.equal(json.data.length, 30);
  assert.ok(json.data.every((r: { tenant: string }) => r.tenant === 'acme'));
  assert.equal(json.page.count, 30);
  assert.equal(
    (await acme('GET', '/records/mine?limit=1', { headers: { prefer: 'count=estimated' } })).json.page.count,
    30,
  );
  assert.equal((await acme('GET', '/records/mine/2')).status, 200);
  const hidden = await acme('GET', '/records/mine/1');
  const none = await acme('GET', '/records/mine/999');
  assert.deepEqual([hidden.status, hidden.json.code], [404, none.json.code]);
  assert.equal(
    hidden.json.detail.replace('1', 'N'),
    none.json.detail.replace('999', 'N'),
    'hidden and absent look alike',
  );
  for (const query of ['tenant=eq.other', 'tenant=ne.acme', 'tenant=in.(other)', 'id=eq.1'])
    assert.deepEqual((await acme('GET', `/records/mine?${query}`)).json.data, [], query);
  const other = await token('other', { scopes: ['records:read'], claims: { tenant: 'other' } });
  const page = await acme('GET', '/records/mine?limit=2');
  assert.equal((await other('GET', `/records/mine?limit=2&cursor=${page.json.page.next_cursor}`)).status, 400);
  const without = await reader('GET', '/records/mine');
  assert.deepEqual([without.status, without.json.code], [403, 'FORBIDDEN']);
  assert.match(without.json.hint, /lockstep token create NAME --claim tenant=/);
  const odd = await token('odd', { scopes: ['records:read'], claims: { tenant: "x' or '1'='1" } });
  assert.deepEqual((await odd('GET', '/records/mine')).json.data, []);
});

test('without a token 401, without the scope 403, with one that is bound to another entity 404', async () => {
  assert.equal((await as(undefined)('GET', '/records/transactions')).status, 401);
  const viewer = await token('no-records', { scopes: ['runs:read'] });
  assert.equal((await viewer('GET', '/records/transactions')).status, 403);
  assert.equal((await viewer('GET', '/users/42/transactions')).status, 403);
  const bound = await token('bound', { scopes: ['records:read', 'records:write'], records: ['mine'] });
  assert.equal((await bound('GET', '/records/transactions/17')).status, 404);
  assert.equal((await bound('GET', '/users/42/transactions')).status, 404);
  assert.deepEqual(
    (await bound('GET', '/records')).json.data.map((e: { name: string }) => e.name),
    ['mine'],
  );
  assert.equal((await bound('POST', '/records/transactions:batch', { body: {} })).status, 404);
});

test('the short form shows the whole table and writes nothing where the endpoint is not writable', async () => {
  const { json } = await reader('GET', '/records/both/1');
  assert.equal(Object.keys(json).length, 14);
  const writer = await token('writer', { scopes: ['records:read', 'records:write'] });
  const { status, json: problem } = await writer('POST', '/records/both', {
    body: {},
    headers: { 'idempotency-key': 'a' },
  });
  assert.deepEqual([status, problem.code], [405, 'METHOD_NOT_ALLOWED']);
});

test('a table that is altered while it is served is read anew', async () => {
  await database.query(
    'create table altering (id int primary key, a text, b text); insert into altering values (1, $$x$$, $$y$$)',
  );
  const service = await recordsService(`version: 1\nrecords: { altering: { table: altering } }\n`, {
    DATABASE_URL: database.url,
  });
  const ask = await service.token('reader', { scopes: ['records:read'] });
  assert.deepEqual((await ask('GET', '/records/altering/1')).json, { id: 1, a: 'x', b: 'y' });
  await database.query(
    'alter table altering drop column b, alter column a type int using 5, add column c bool default true',
  );
  assert.deepEqual((await ask('GET', '/records/altering')).json.data, [{ id: 1, a: 5, c: true }]);
  assert.deepEqual((await ask('GET', '/records/altering/1')).json, { id: 1, a: 5, c: true });
});

test('reading records writes nothing but what counts the use of tokens', async () => {
  const before = (await store.audit.list({ limit: 500, object: 'records' }, { signal: AbortSignal.timeout(10_000) }))
    .length;
  await reader('GET', '/records/transactions');
  assert.equal(
    (await store.audit.list({ limit: 500, object: 'records' }, { signal: AbortSignal.timeout(10_000) })).length,
    before,
  );
});

test('the document of the API says each entity with the types of its table, and the answers hold to it', async () => {
  const { status, json: document } = await reader('GET', '/openapi.json');
  assert.equal(status, 200);
  const { properties } = document.components.schemas.Record_transactions;
  assert.deepEqual(
    [
      properties.id.format,
      properties.amount.type,
      properties.user_id.type,
      properties.kind.enum,
      properties.note.maxLength,
    ],
    ['int64', 'string', 'integer', ['in', 'out'], 20],
  );
  assert.ok(!('secret' in properties));
  assert.match(properties.email.description, /records:read_masked/);
  const paths = Object.keys(document.paths);
  for (const path of [
    '/api/v1/records/transactions',
    '/api/v1/records/transactions/{key}',
    '/api/v1/users/{user_id}/transactions',
  ])
    assert.ok(paths.includes(path), path);
  const ids = Object.values(document.paths as Record<string, Record<string, { operationId: string }>>).flatMap((p) =>
    Object.values(p).map((o) => o.operationId),
  );
  assert.equal(new Set(ids).size, ids.length);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: 'doc', ...document });
  const check = (schema: unknown, value: unknown, what: string): void => {
    const compiled = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"doc#/components/')));
    assert.ok(compiled(value), `${what}: ${ajv.errorsText(compiled.errors)}`);
  };
  const ok = document.paths['/api/v1/records/transactions'].get.responses['200'].content['application/json'];
  check(ok.schema, (await reader('GET', '/records/transactions?limit=100')).json, 'a list');
  check(ok.schema, ok.example, 'its example');
  const one = document.paths['/api/v1/records/transactions/{key}'].get.responses['200'].content['application/json'];
  check(one.schema, (await privileged('GET', '/records/transactions/3')).json, 'a record');
});

test('the caller’s name in a row filter is never a claim that somebody chose', async () => {
  const sly = await token('sly', { scopes: ['records:read'], claims: { name: 'pending' } });
  assert.deepEqual((await sly('GET', '/records/named')).json.data, []);
});
