/** The story of this example, told by running it: an API of one table, asked as another team's program would ask it. */
import { spawn } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { launcher, openStage, say } from '../story.ts';

const here = dirname(import.meta.filename);
const readme = readFileSync(join(here, 'README.md'), 'utf8');
const insist = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(`the story does not hold: ${what}`);
};

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

/** Runs one command in the folder and gives what it says to programs. */
const output = async (args: readonly string[]): Promise<string> => {
  const child = spawn(process.execPath, [launcher, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (part) => {
    text += part;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  insist(code === 0, `lockstep ${args.slice(0, 2).join(' ')} ends with 0, not ${code}`);
  return text.trim();
};

say('A token for the other team’s program, and one that may only read');
const tokenFor = async (name: string, ...scopes: readonly string[]): Promise<string> => {
  const args = [
    'token',
    'create',
    name,
    ...scopes.flatMap((s) => ['--scope', s]),
    '--entity',
    'transactions',
    '--json',
  ];
  console.log(`\n$ lockstep ${args.join(' ')}`);
  const { token, secret } = JSON.parse(await output(args)) as { readonly token: unknown; readonly secret: string };
  console.log(JSON.stringify(token), '\n(the token itself is shown once; it is kept out of this story)');
  return secret;
};
const shop = await tokenFor('shop', 'records:read', 'records:write');
const reports = await tokenFor('reports', 'records:read');

say('The API is one command');
console.log('\n$ lockstep serve --port 0');
const service = spawn(process.execPath, [launcher, 'serve', '--port', '0', '--workers', '0'], {
  cwd: folder,
  stdio: ['ignore', 'pipe', 'pipe'],
});
const ended = new Promise<number | null>((resolve) => service.once('exit', resolve));
await using _stopped = {
  [Symbol.asyncDispose]: async () => {
    service.kill('SIGKILL');
    await ended;
  },
};
const log: string[] = [];
const heard = new Set<() => void>();
createInterface({ input: service.stderr }).on('line', (line) => {
  log.push(line);
  for (const look of heard) look();
});
/** Waits until the service has logged it. */
const logged = async (message: string): Promise<void> => {
  const there = (): boolean => log.some((line) => line.includes(`"message":"${message}"`));
  await new Promise<void>((resolve, reject) => {
    const look = (): void => {
      if (there()) resolve();
    };
    heard.add(look);
    void ended.then((code) => reject(new Error(`serve ended with ${code}: ${log.join('\n')}`)));
    look();
  });
};
const base = await new Promise<string>((resolve, reject) => {
  createInterface({ input: service.stdout }).once('line', resolve);
  void ended.then((code) => reject(new Error(`serve ended with ${code}: ${log.join('\n')}`)));
});
console.log(base);

interface Question {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface Answer {
  readonly status: number;
  readonly etag: string;
  readonly location: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: the story says what it expects of it
  readonly body: any;
}

/** Asks as a program would, shows question and answer, and insists on the promised status. */
const ask = async (promised: number, method: string, path: string, o: Question = {}): Promise<Answer> => {
  const token = o.token ?? shop;
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const response = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: {
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(o.body === undefined ? {} : { 'content-type': type }),
      ...o.headers,
    },
    ...(o.body === undefined ? {} : { body: JSON.stringify(o.body) }),
  });
  const text = await response.text();
  const body = text === '' ? undefined : JSON.parse(text);
  console.log(`\n${method} /api/v1${path}${o.body === undefined ? '' : `  ${JSON.stringify(o.body)}`}`);
  for (const [name, value] of Object.entries(o.headers ?? {})) console.log(`  ${name}: ${value}`);
  console.log(`-> ${response.status}${text === '' ? '' : ` ${text.length > 400 ? `${text.slice(0, 400)} …` : text}`}`);
  insist(response.status === promised, `${method} ${path} answers ${promised}, not ${response.status}: ${text}`);
  return {
    status: response.status,
    etag: response.headers.get('etag') ?? '',
    location: response.headers.get('location'),
    body,
  };
};

/** An answer that the README shows, word for word but for what differs from one request to the next. */
const refused = async (status: number, method: string, path: string, o: Question = {}): Promise<void> => {
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
service.kill('SIGHUP');
await logged('configuration read again');
for (let i = 0; i < 2; i++) await ask(200, 'GET', '/records/transactions/1', { token: reports });
await refused(429, 'GET', '/records/transactions/1', { token: reports });

say('Who wrote what is in the audit log');
const actions = await output(['audit', 'verify']);
console.log(actions);

say('It ends when it is told to, after what it has in hand');
service.kill('SIGTERM');
insist((await ended) === 0, 'serve ends with 0');
