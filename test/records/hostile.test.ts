import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { testDatabase } from '../servers/postgres.ts';
import { recordsService } from './service.ts';

const database = await testDatabase();
after(() => database[Symbol.asyncDispose]());
await database.query(`
  create schema "we""ird";
  create table "we""ird"."ta.b'le" (
    "i\\d" text primary key, "a""b'c;--" text, "select" int, "limit" int, "__proto__" text, "$1" jsonb, "größe" numeric);
  insert into "we""ird"."ta.b'le" values ('k', 'v', 1, 2, 'p', '{}', 1.5);
  create table secrets (id int primary key, owner text, pin text);
  insert into secrets select i, 'o' || i % 2, 'pin' || i from generate_series(1, 10) i`);

const { token, control } = await recordsService(
  `version: 1
endpoints: { db: { url: "\${env:DATABASE_URL}", writable: true } }
records:
  odd: { endpoint: db, table: "we\\"ird.ta.b'le" }
  secrets:
    endpoint: db
    table: secrets
    read: { columns: [id, pin] }
    mask: { pin: { unless: records:read_masked } }
    row_filter: "owner = \${principal.owner}"
  keyed: { endpoint: db, table: secrets, mask: { id: { unless: records:read_masked } } }
  quiet:
    endpoint: db
    table: secrets
    read: { columns: [id] }
    update: { columns: [pin], transitions: { pin: { pin3: [open] } } }
`,
  { DATABASE_URL: database.url },
);
const writer = await token('writer', { scopes: ['records:read', 'records:write'], claims: { owner: 'o1' } });
const path = '/records/odd';

const hostile = [
  "'; drop table secrets; --",
  '" or 1=1 --',
  '\\',
  '\\\\',
  "\\' or '1'='1",
  '$1',
  '${principal.owner}',
  '%',
  '*',
  '\u{1f600}',
  '\u202e',
  'e\u0301',
  'null',
  '../../etc/passwd',
  '<script>',
  'a,b',
  '"',
  '(a)',
  '\n\r\t',
  ' ',
];

test('hostile values are stored, found and given back as they are, as keys, cells and filters', async () => {
  for (const [i, value] of hostile.entries()) {
    const body = { 'i\\d': value, 'a"b\'c;--': value, select: i, $1: { [value]: value }, größe: '1.50' };
    const made = await writer('POST', path, { body, headers: { 'idempotency-key': `h${i}` } });
    assert.equal(made.status, 201, made.text);
    const found = await writer('GET', made.headers.get('location')!);
    assert.deepEqual([found.status, found.json['i\\d'], found.json.$1], [200, value, { [value]: value }], value);
    const filter = `${encodeURIComponent('a"b\'c;--')}=eq.${encodeURIComponent(value)}`;
    const list = await writer('GET', `${path}?${filter}&fields=select`);
    assert.deepEqual(list.json.data, [{ select: i }], value);
    const etag = found.headers.get('etag')!;
    const changed = await writer('PATCH', made.headers.get('location')!, {
      body: { select: i + 100 },
      headers: { 'if-match': etag },
    });
    assert.deepEqual([changed.status, changed.json.select], [200, i + 100], changed.text);
  }
  const sorted = await writer(
    'GET',
    `${path}?sort=${encodeURIComponent('-i\\d,select')}&limit=3&fields=${encodeURIComponent('i\\d')}`,
  );
  assert.equal(sorted.status, 200, sorted.text);
  assert.equal(
    (await writer('GET', `${path}?limit=3&cursor=${(await writer('GET', `${path}?limit=3`)).json.page.next_cursor}`))
      .json.data.length,
    3,
  );
  assert.equal((await database.query('select from secrets')).rowCount, 10);
});

test('what no text of the database can be is refused, and finds nothing', async () => {
  const body = { 'i\\d': 'nul\u0000byte' };
  assert.equal((await writer('POST', path, { body, headers: { 'idempotency-key': 'nul' } })).status, 422);
  const half = await writer('POST', path, { body: '{"i\\\\d": "\\ud800"}', headers: { 'idempotency-key': 'half' } });
  assert.equal(half.status, 422, half.text);
  assert.equal((await writer('GET', `${path}/nul%00byte`)).status, 404);
  assert.equal((await writer('GET', `${path}/%ff`)).status >= 400, true);
  const proto = await writer('GET', `${path}?__proto__=eq.p&fields=select`);
  assert.deepEqual([proto.status, proto.json.data], [200, [{ select: 1 }]], proto.text);
  for (const odd of ['constructor', 'toString', 'hasOwnProperty'])
    assert.equal((await writer('GET', `${path}?${odd}=eq.1`)).status, 400, odd);
});

test('random requests for what is masked and filtered away get nothing of it, and no failure of ours', async () => {
  const pins = Array.from({ length: 10 }, (_, i) => `pin${i + 1}`);
  const words = [
    'id',
    'pin',
    'owner',
    'eq.',
    'ne.',
    'gt.',
    'in.(',
    'like.pin*',
    'is.null',
    'o0',
    'o1',
    'pin2',
    '1',
    '2',
    ',',
    '-',
    '*',
    ')',
    '"',
    "'",
  ];
  let seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1e6);
  const first = seed;
  const pick = <T>(list: readonly T[]): T => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return list[seed % list.length]!;
  };
  const word = (): string => encodeURIComponent(Array.from({ length: 1 + (seed % 3) }, () => pick(words)).join(''));
  for (let i = 0; i < 150; i++) {
    const names = ['sort', 'fields', 'limit', 'cursor', 'id', 'pin', 'owner'];
    const query = Array.from({ length: 1 + (i % 3) }, () => `${pick(names)}=${word()}`).join('&');
    const { status, text } = await writer('GET', `/records/secrets${pick(['', '', '/1', '/2', '/3'])}?${query}`, {
      headers: { prefer: pick(['count=exact', 'count=estimated', 'x']) },
    });
    assert.ok([200, 400, 404].includes(status), `seed ${first}: ${query}: ${status} ${text}`);
    if (status === 200) {
      for (const pin of pins) assert.ok(!text.includes(`"${pin}"`), `seed ${first}: ${query}: ${text}`);
      for (const [, id] of text.matchAll(/"id":(\d+)/g))
        assert.equal(Number(id) % 2, 1, `seed ${first}: ${query}: ${text}`);
    }
  }
});

test('what cannot be audited is not written', async () => {
  const before = await writer('GET', '/records/secrets/1');
  await control.query('alter table lockstep_control.audit_head rename to gone');
  const refused = await writer('POST', path, {
    body: { 'i\\d': 'unaudited' },
    headers: { 'idempotency-key': 'unaudited' },
  });
  const deleted = await writer('DELETE', '/records/secrets/1', {
    headers: { 'if-match': before.headers.get('etag')! },
  });
  await control.query('alter table lockstep_control.gone rename to audit_head');
  assert.deepEqual([refused.status >= 500, deleted.status >= 500], [true, true], `${refused.text} ${deleted.text}`);
  assert.equal((await database.query(`select from "we""ird"."ta.b'le" where "i\\d" = 'unaudited'`)).rowCount, 0);
  assert.equal((await database.query('select from secrets where id = 1')).rowCount, 1);
  const again = await writer('POST', path, {
    body: { 'i\\d': 'unaudited' },
    headers: { 'idempotency-key': 'unaudited' },
  });
  assert.equal(again.status, 201, 'it had no effect, so that its key may be used again');
});

test('a key cannot be masked, and a refusal tells no value of a column that is not shown', async () => {
  const keyed = await writer('GET', '/records/keyed/1');
  assert.deepEqual([keyed.status, keyed.json.code], [422, 'CONFIG']);
  const headers = { 'if-match': (await writer('GET', '/records/quiet/4')).headers.get('etag')! };
  const refused = await writer('PATCH', '/records/quiet/4', { body: { pin: 'open' }, headers });
  assert.equal(refused.status, 409);
  assert.ok(!refused.text.includes('pin4'), refused.text);
});
