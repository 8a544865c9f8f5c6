import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../src/lib/clock.ts';
import { testDatabase } from '../servers/postgres.ts';
import { o } from '../store/plain.ts';
import { lineOf, recordsService, seenRequests } from './service.ts';

const database = await testDatabase();
const control = await testDatabase();
await database.query(`
  create table items (id bigint primary key, tenant text not null, name text, amount numeric(12,2), secret text);
  insert into items select i, case when i % 2 = 0 then 'acme' else 'other' end,
    case i when 3 then null when 5 then 'Größe 🚲' else 'n' || i end, i + 0.5, 's' || i from generate_series(1, 30) i;
  create table texts (k text primary key);
  insert into texts values ('a'), ('..'), ('~'), ('🚲'), (E'a\\r\\nX-Y: z'), ('<>; rel="x"');
  create function held(value text) returns text language plpgsql volatile as
    $$ begin perform pg_advisory_xact_lock_shared(79); return value; end $$;
  create view slowly as select id, held(name) as name, 1 / (id - 13) as one from items`);
const yaml = (limit: string): string => `version: 1
endpoints: { database: { url: "\${env:DATABASE_URL}", writable: true } }
cache: { ttl: 300s }
server: { rate_limit: ${limit} }
records:
  items: { table: items, cache: false, mask: { secret: { unless: records:read_masked } } }
  mine: { table: items, cache: false, row_filter: "tenant = \${principal.tenant}" }
  kept: { table: items, mask: { secret: { unless: records:read_masked } } }
  texts: { table: texts, cache: false }
  slowly: { table: slowly, key: id, cache: false }
`;
const env = { DATABASE_URL: database.url };
const seen = seenRequests();
const one = await recordsService(yaml('false'), env, [seen.routes], { control });
const limited = await recordsService(yaml('{ requests: 6, per: 1h }'), env, [seen.routes], { control });
after(async () => {
  await database[Symbol.asyncDispose]();
  await control[Symbol.asyncDispose]();
});
const secrets: Record<string, string> = {};
for (const [name, wish] of Object.entries({
  plain: { scopes: ['records:read'] },
  privileged: { scopes: ['records:read', 'records:read_masked'] },
  acme: { scopes: ['records:read'], claims: { tenant: 'acme' } },
  bound: { scopes: ['records:read'], records: ['kept'] },
  none: { scopes: ['runs:read'] },
  leaving: { scopes: ['records:read'] },
}))
  secrets[name] = await one.secret(name, wish);

type Headers = readonly (readonly [string, string])[];
interface Asked {
  readonly id: string;
  readonly who: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Headers;
}

/** As it goes over the wire. `late`: with what keeps it from being answered early, and means nothing else to anybody. */
const wired = ({ id, who, path, method = 'GET', headers = [] }: Asked, late: boolean): string =>
  [
    `${method} /api/v1/records/${path} HTTP/1.1`,
    'host: here',
    `authorization: Bearer ${secrets[who]}`,
    `x-request-id: ${id}`,
    ...(late ? ['x-forwarded-proto: http'] : []),
    ...headers.map(([name, value]) => `${name}: ${value}`),
    '\r\n',
  ].join('\r\n');

/** Sends all of them at once on one connection; what came back until the server closed it. */
const exchange = async (asked: readonly Asked[], late: boolean): Promise<string> => {
  const socket = connect(Number(new URL(one.url).port), '127.0.0.1');
  const last = asked.at(-1)!;
  const all = [
    ...asked.slice(0, -1),
    { ...last, headers: [...(last.headers ?? []), ['connection', 'close'] as const] },
  ];
  socket.write(all.map((a) => wired(a, late)).join(''));
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  await once(socket, 'end');
  socket.destroy();
  return text;
};

/** What must be alike: no cursor is made twice, headers have no order. */
const shown = (text: string) =>
  text.split(/(?=HTTP\/1\.1 \d{3} )/).map((answer) => {
    const end = answer.indexOf('\r\n\r\n');
    const [status, ...headers] = answer.slice(0, end).split('\r\n');
    return {
      status,
      headers: headers
        .filter((h) => !/^(date|x-request-id):/i.test(h))
        .map((h) =>
          h
            .replace(/cursor=[\w-]+/, 'cursor=')
            .replace(/^(cache-status:).*/, '$1')
            .replace(/^age: \d+/, 'age:'),
        )
        .map((h) => h.replace(/^[^:]+/, (name) => name.toLowerCase()))
        .sort(),
      body: answer
        .slice(end)
        .replace(/"next_cursor":"[\w-]+"/, '"next_cursor":"…"')
        .replace(/"correlation":"[^"]*"/, ''),
    };
  });

/** The entities and the caller are known after the first request. */
const know = async (who: string, service = one): Promise<void> => {
  for (const entity of ['items', 'mine', 'kept', 'texts', 'slowly'])
    await service.as(secrets[who])('GET', `/records/${entity}/none`);
};

const paths = [
  ...['items/1', 'items/3?fields=id,name', 'items/5', 'items/999', 'items/x', 'items?limit=2', 'items?limit=3&limit=4'],
  ...[
    'items?sort=-amount&limit=4',
    'items?secret=eq.s4',
    'items?name=is.null',
    'items?nope=eq.1',
    'items?',
    'items/1?',
  ],
  ...['mine/2', 'mine/3', 'mine?limit=3', 'kept/1', 'kept/5', 'kept/999', 'kept?limit=2', 'kept?limit=2&sort=-id'],
  ...[
    'kept?sort=-id&limit=2',
    'texts',
    'texts/..',
    'texts/~',
    'texts/a',
    'texts/%F0%9F%9A%B2',
    'texts/a%0D%0AX-Y:%20z',
  ],
  ...['texts?limit=1&k=gte.~', 'none/1', 'none', 'items/%31', 'items/1/', 'items/../mine', '.', 'items;a', 'items#a'],
  ...[`items?name=eq.${'a'.repeat(1990)}`, 'items?__proto__=eq.1', 'items/1?fields=id&fields=name', 'slowly/13'],
];
const headers: Headers = [
  ...([
    ['accept', '*/*'] as const,
    ['accept', 'application/json'] as const,
    ['accept', 'text/html'] as const,
  ] as Headers),
  ...([['accept', ''] as const, ['range', 'bytes=0-3'] as const, ['if-none-match', '*'] as const] as Headers),
  ...([['prefer', 'count=exact'] as const, ['cache-control', 'no-cache'] as const] as Headers),
  ...([
    ['accept-version', '1.0.0'] as const,
    ['if-match', '*'] as const,
    ['expect', '100-continue'] as const,
  ] as Headers),
  ...([
    ['content-length', '0'] as const,
    ['content-type', 'text/html'] as const,
    ['upgrade', 'h2c'] as const,
  ] as Headers),
  ...([['origin', 'http://evil.example'] as const, ['te', 'trailers'] as const] as Headers),
];

test('whatever is asked, alone or with others on one connection, both ways give one answer and one line', async () => {
  const callers = ['plain', 'privileged', 'acme', 'bound', 'none'];
  for (const who of callers) await know(who);
  for (const path of paths.filter((p) => p.startsWith('kept')))
    for (const who of callers) await one.as(secrets[who])('GET', `/records/${path}`);
  const request = fc.record({
    who: fc.constantFrom(...callers),
    path: fc.constantFrom(...paths),
    method: fc.constantFrom('GET', 'GET', 'GET', 'GET', 'GET', 'GET', 'HEAD', 'OPTIONS'),
    headers: fc.oneof(fc.constant([]), fc.subarray([...headers], { maxLength: 2 })),
  });
  const batches = fc.sample(fc.array(request, { minLength: 1, maxLength: 4 }), { numRuns: 100, seed: 20 });
  let early = 0;
  for (const [i, batch] of batches.entries()) {
    const named = (way: string): readonly Asked[] => batch.map((r, j) => ({ ...r, id: `${way}-${i}-${j}` }));
    seen.n = 0;
    const a = await exchange(named('soon'), false);
    early += batch.length - seen.n;
    assert.deepEqual(shown(a), shown(await exchange(named('late'), true)), JSON.stringify(batch));
    for (const [j, asked] of batch.entries())
      assert.deepEqual(
        await lineOf(one.lines, `soon-${i}-${j}`),
        await lineOf(one.lines, `late-${i}-${j}`),
        JSON.stringify(asked),
      );
  }
  assert.ok(early > 20, `${early} were answered early`);
});

const locked = async <T>(work: () => Promise<T>): Promise<T> => {
  await database.query('select pg_advisory_lock(79)');
  try {
    return await work();
  } finally {
    await database.query('select pg_advisory_unlock_all()');
  }
};
const waiting = async (): Promise<number> =>
  (
    await database.query(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`,
    )
  ).rows[0].n;

test('who goes away leaves a line either way, also those who wait behind others, and their statements end', async () => {
  await know('plain');
  for (const late of [false, true]) {
    const way = late ? 'late' : 'soon';
    const failed = (): number => one.api.failures.groups(0).filter(({ where }) => where === 'requests').length;
    const before = failed();
    await locked(async () => {
      const ask = (id: string, path: string): string => wired({ id: `${way}-${id}`, who: 'plain', path }, late);
      const socket = connect(Number(new URL(one.url).port), '127.0.0.1');
      socket.write(ask('first', 'slowly/1') + ask('behind', 'slowly/2'));
      while ((await waiting()) < 2);
      socket.destroy();
      while ((await waiting()) > 0);
    });
    for (const id of ['first', 'behind']) {
      const line = (await lineOf(one.lines, `${way}-${id}`)) as { readonly status: number; readonly actor: string };
      assert.deepEqual([line.status, line.actor], [499, 'token:plain'], `${way} ${id}`);
    }
    assert.equal(failed(), before);
  }
  assert.equal((await one.as(secrets['plain'])('GET', '/records/slowly/2')).json.name, 'n2');
});

test('a complaint about what comes after a request is not taken for its answer', async () => {
  await know('plain');
  for (const late of [false, true]) {
    const socket = connect(Number(new URL(one.url).port), '127.0.0.1');
    const text = await locked(async () => {
      socket.write(wired({ id: `odd-${late}`, who: 'plain', path: 'slowly/1' }, late));
      while ((await waiting()) === 0);
      socket.write('nothing like HTTP\r\n\r\n');
      return [...(await socket.toArray())].join('');
    });
    assert.equal(text, '');
  }
});

test('what a request was when it came it stays: counted once, and of a caller who was known then', async () => {
  const ask = limited.as(secrets['plain']);
  assert.equal((await ask('GET', '/records/slowly/1')).status, 200);
  const [failed, left] = await locked(async () => {
    const held = ask('GET', '/records/slowly/13');
    while ((await waiting()) === 0);
    const others: (readonly [number, string | null])[] = [];
    for (let i = 0; i < 5; i++) {
      const { status, headers } = await ask('GET', '/records/kept/none');
      others.push([status, headers.get('ratelimit-remaining')]);
    }
    return [held, others] as const;
  }).then(async ([held, others]) => [await held, others] as const);
  assert.deepEqual(left.at(-1), [429, '0']);
  assert.deepEqual([failed.status, failed.headers.get('ratelimit-remaining')], [502, '4'], failed.text);

  const leaving = one.as(secrets['leaving']);
  await know('leaving');
  const held = await locked(async () => {
    seen.n = 0;
    const mine = leaving('GET', '/records/slowly/13');
    while ((await waiting()) === 0);
    assert.equal(seen.n, 0);
    await one.store.tokens.revoke('leaving', systemClock.now(), o);
    while ((await leaving('GET', '/records/kept/none')).status !== 401);
    return [mine];
  });
  assert.equal((await held[0])?.status, 502);
});

test('a cursor of rows by one key is none of rows by another', async () => {
  const ask = limited.as(secrets['privileged']);
  const page = await ask('GET', '/records/slowly?limit=2&fields=id');
  await limited.reload(yaml('false').replace('slowly, key: id', 'slowly, key: [name, id]'));
  const next = await ask('GET', `/records/slowly?limit=2&fields=id&cursor=${page.json.page.next_cursor}`);
  assert.deepEqual([page.status, next.status, next.json.code], [200, 400, 'CURSOR']);
});
