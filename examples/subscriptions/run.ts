/** The story of this example, told by running it. Every command is the one a user would type. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serve, tokenFor } from '../service.ts';
import { hurried, insist, lockstep, openStage, say } from '../story.ts';

const here = dirname(import.meta.filename);

await using stage = await openStage('subscriptions');
await using crm = await openStage('crm');
const { folder } = stage;

say('Two databases with the same 2,000 subscriptions');
const password = { db1: 'r@:/?#%ead er', db2: "wr'i@t:e/?#%" };
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
await stage.query('postgres', 'create database billing');
await crm.query('postgres', 'create database crm');
const schema = readFileSync(join(here, 'schema.sql'), 'utf8');
await Promise.all([stage.query('billing', schema), crm.query('crm', schema)]);
await crm.query('crm', readFileSync(join(here, 'target.sql'), 'utf8'));
await stage.query(
  'billing',
  `create role reader login password ${literal(password.db1)}; grant select, insert, update, delete on subscriptions to reader`,
);
await crm.query(
  'crm',
  `create role writer login password ${literal(password.db2)}; grant select, insert, update, delete on subscriptions to writer;
   create schema lockstep authorization writer`,
);
const times = { 'every: 5s': 'every: 1s', 'settle: 1s': 'settle: 0s', 'reset_after: 5s': 'reset_after: 2s' };
writeFileSync(join(folder, 'lockstep.yaml'), hurried(readFileSync(join(here, 'lockstep.yaml'), 'utf8'), times));
writeFileSync(
  join(folder, '.env'),
  [
    ['DB1', stage.port, 'reader', password.db1, 'billing'],
    ['DB2', crm.port, 'writer', password.db2, 'crm'],
  ]
    .map(
      ([name, port, user, secret, database]) =>
        `${name}_HOST=127.0.0.1\n${name}_PORT=${port}\n${name}_USER=${user}\n${name}_PASSWORD="${secret}"\n${name}_DATABASE=${database}\n`,
    )
    .join('\n'),
);

say('The doctor looks at secrets, connections, rights, keys and types');
await lockstep(folder, ['check'], 21);

say('One right is missing; the statement it printed cures it');
await crm.query('crm', 'grant usage, select, update on sequence "public"."subscriptions_id_seq" to "writer"');
await lockstep(folder, ['check'], 0);

say('They agree');
await lockstep(folder, ['diff', 'subscriptions'], 0);

say('A status changes in database 1, a new subscription arrives, and somebody edits database 2 by hand');
await stage.query('billing', "update subscriptions set status = 'canceled', updated_at = now() where id = 42");
await stage.query(
  'billing',
  "insert into subscriptions (customer_id, plan, status, amount) values (1400, 'team', 'active', 99)",
);
await crm.query('crm', 'update subscriptions set amount = amount + 0.01 where id = 7');
await lockstep(folder, ['diff', 'subscriptions'], 2);

say('What a sync would do');
await lockstep(folder, ['plan', 'subscriptions'], 2);

say('Do it: compare, plan, apply under guards, verify');
await lockstep(folder, ['sync', 'subscriptions', '--yes'], 0);
await lockstep(folder, ['diff', 'subscriptions'], 0);

say('How did subscription 42 get here?');
await lockstep(folder, ['explain', 'subscriptions/public.subscriptions', '42'], 0);
await lockstep(folder, ['runs'], 0);

say('From here on it goes by itself: the API, the schedule and a worker are one command');
const editor = await tokenFor(folder, 'editor', '--role', 'approver');
const viewer = await tokenFor(folder, 'viewer', '--role', 'viewer');
await using service = await serve(folder);

/** Waits until database 2 says so. */
const untilCrmSays = async (id: string, status: string): Promise<void> => {
  const began = Date.now();
  for (;;) {
    const [row] = await crm.query('crm', `select status, pg_sleep(0.1)::text from subscriptions where id = ${id}`);
    if (row?.['status'] === status) break;
    insist(Date.now() - began < 60_000, `database 2 has subscription ${id} as ${status}, not as ${row?.['status']}`);
  }
  console.log(`database 2: subscription ${id} is ${status}, ${((Date.now() - began) / 1000).toFixed(1)} s later`);
};

/** Changes a status through the API, as it was seen a moment ago. */
const change = async (id: string, status: string): Promise<void> => {
  const { etag } = await service.ask(200, 'GET', `/records/subscriptions/${id}`, { token: editor });
  const headers = { 'if-match': etag };
  await service.ask(200, 'PATCH', `/records/subscriptions/${id}`, { token: editor, headers, body: { status } });
};

say('A status is changed through the API in database 1; database 2 says the same');
await change('5', 'past_due');
await untilCrmSays('5', 'past_due');

say('A new subscription, and what is not allowed');
const body = { customer_id: '1400', plan: 'pro', status: 'trialing', amount: '29.00' };
const key = (name: string) => ({ 'idempotency-key': name });
const made = await service.ask(201, 'POST', '/records/subscriptions', { token: editor, headers: key('a'), body });
await untilCrmSays(made.body.id, 'trialing');
const gone = { ...body, status: 'gone' };
await service.ask(422, 'POST', '/records/subscriptions', { token: editor, headers: key('b'), body: gone });
await service.ask(403, 'POST', '/records/subscriptions', { token: viewer, headers: key('c'), body });
const list = await service.ask(200, 'GET', '/records/subscriptions?status=eq.past_due&limit=2', { token: viewer });
insist(list.body.data.length === 2, 'a viewer may look');
const path = `/records/subscriptions/${made.body.id}`;
const { etag } = await service.ask(200, 'GET', path, { token: editor });
const seen = { 'if-match': etag };
await service.ask(409, 'PATCH', path, { token: editor, headers: seen, body: { status: 'past_due' } });

say('Database 2 is stopped. The service lives, says what is wrong, and leaves it alone for a while');
const opened = service.logged('circuit breaker is open', '"endpoint":"db2"');
await crm.stop();
await change('6', 'paused');
await opened;
await service.ask(200, 'GET', '/records/subscriptions/6', { token: viewer });

say('Database 2 comes back, and catches up with nothing lost');
const closed = service.logged('circuit breaker is closed', '"endpoint":"db2"');
await crm.start();
await closed;
await untilCrmSays('6', 'paused');

say('A subscription is deleted in database 1. Database 2 keeps it: `mode: upsert` deletes nothing, and says so');
await service.ask(204, 'DELETE', path, { token: editor, headers: seen });
await service.stop();
await lockstep(folder, ['diff', 'subscriptions'], 2);

for (const secret of [...Object.values(password), editor, viewer])
  insist(![secret, encodeURIComponent(secret)].some((text) => service.log().includes(text)), 'no secret is in the log');
