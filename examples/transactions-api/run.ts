/** The story of this example, told by running it: an API of one table, asked as another team's program would ask it. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Answer, type Question, serve, tokenFor } from '../service.ts';
import { insist, openStage, output, say } from '../story.ts';

const here = dirname(import.meta.filename);
const readme = readFileSync(join(here, 'README.md'), 'utf8');

await using stage = await openStage('transactions');
const { folder } = stage;

say('A database with the transactions of 200 users, and a configuration that names the table');
await stage.query('postgres', 'create database payments');
await stage.query('payments', readFileSync(join(here, 'schema.sql'), 'utf8'));
const password = 'r@:/?#%ead er';
await stage.query(
  'payments',
  `create role api login password '${password}'; grant select, insert, update, delete on transactions to api`,
);
cpSync(join(here, 'lockstep.yaml'), join(folder, 'lockstep.yaml'));
const url = new URL(stage.url('payments'));
url.username = 'api';
url.password = encodeURIComponent(password);
writeFileSync(join(folder, '.env'), `DATABASE_URL="${url.href}"\n`);

say('A token for the other team’s program, and one that may only read');
const shop = await tokenFor(
  folder,
  'shop',
  ...['--scope', 'records:read', '--scope', 'records:write', '--entity', 'transactions'],
);
const reports = await tokenFor(folder, 'reports', '--scope', 'records:read', '--entity', 'transactions');

say('The API is one command');
await using service = await serve(folder, '--workers', '0');

const ask = (promised: number, method: string, path: string, o: Partial<Question> = {}): Promise<Answer> =>
  service.ask(promised, method, path, { token: shop, ...o });

/** An answer that the README shows, word for word but for what differs from one request to the next. */
const refused = async (status: number, method: string, path: string, o: Partial<Question> = {}): Promise<void> => {
  const { body } = await ask(status, method, path, o);
  const shown = JSON.stringify({ ...body, correlation: '…' }, undefined, 2).replaceAll(/in \d+ s\./g, 'in … s.');
  insist(readme.includes(shown), `README.md shows this answer:\n${shown}`);
};

say('The transactions of user 42, newest first: by a filter, and by the path that the configuration gives it');
const filtered = await ask(200, 'GET', '/records/transactions?user_id=eq.42&sort=-created_at&limit=3');
const byPath = await ask(200, 'GET', '/users/42/transactions?sort=-created_at&limit=3');
insist(filtered.body.data.length === 3, 'a page of three');
insist(JSON.stringify(filtered.body.data) === JSON.stringify(byPath.body.data), 'both are the same list');
const next = await ask(
  200,
  'GET',
  `/users/42/transactions?sort=-created_at&limit=3&cursor=${encodeURIComponent(byPath.body.page.next_cursor)}`,
);
const ids = [...byPath.body.data, ...next.body.data].map((t: { id: string }) => t.id);
insist(new Set(ids).size === 6, 'the next page goes on after the last one');

say('A new one. The Idempotency-Key makes it safe to send again');
const order = { user_id: '42', reference: 'ORDER-1', amount: '19.99' };
const headers = { 'idempotency-key': 'order-1' };
const made = await ask(201, 'POST', '/records/transactions', { body: order, headers });
const again = await ask(201, 'POST', '/records/transactions', { body: order, headers });
insist(made.body.id === again.body.id && made.body.status === 'pending', 'the same record, made once');
const one = made.location!.replace('/api/v1', '');

say('Read it, change it, read it: an ETag says which state was seen');
const seen = await ask(200, 'GET', one);
const settled = await ask(200, 'PATCH', one, { body: { status: 'settled' }, headers: { 'if-match': seen.etag } });
insist(settled.body.status === 'settled', 'it is settled');

say('What can go wrong, each with its own answer');
await refused(400, 'GET', '/records/transactions?colour=eq.red');
await refused(401, 'GET', '/records/transactions', { token: '' });
await refused(403, 'POST', '/records/transactions', {
  token: reports,
  body: order,
  headers: { 'idempotency-key': 'order-2' },
});
await refused(404, 'GET', '/records/transactions/999999');
await refused(409, 'POST', '/records/transactions', { body: order, headers: { 'idempotency-key': 'order-3' } });
await refused(409, 'PATCH', one, { body: { status: 'pending' }, headers: { 'if-match': settled.etag } });
await refused(412, 'PATCH', one, { body: { status: 'refunded' }, headers: { 'if-match': seen.etag } });
await refused(422, 'POST', '/records/transactions', {
  body: { user_id: 'x', amount: '1.999', colour: 'red' },
  headers: { 'idempotency-key': 'order-4' },
});
await refused(422, 'POST', '/records/transactions', {
  body: { ...order, reference: 'ORDER-2', amount: '0' },
  headers: { 'idempotency-key': 'order-5' },
});
await refused(428, 'PATCH', one, { body: { note: 'without having looked' } });

say('Delete it');
await ask(204, 'DELETE', one, { headers: { 'if-match': settled.etag } });
await ask(404, 'GET', one);

say('A lower limit in the configuration, read again without a restart; then one request too many');
const limit = '\nserver: { rate_limit: { requests: 2, per: 1m } }\n';
writeFileSync(join(folder, 'lockstep.yaml'), readFileSync(join(here, 'lockstep.yaml'), 'utf8') + limit);
const reloaded = service.logged('configuration read again');
service.reload();
await reloaded;
for (let i = 0; i < 2; i++) await ask(200, 'GET', '/records/transactions/1', { token: reports });
await refused(429, 'GET', '/records/transactions/1', { token: reports });

say('Who wrote what is in the audit log');
console.log(await output(folder, ['audit', 'verify']));

say('It ends when it is told to, after what it has in hand');
await service.stop();
