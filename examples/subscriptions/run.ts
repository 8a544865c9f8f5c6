/** The story of this example, told by running it. Every command is the one a user would type. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { lockstep, openStage, say } from '../story.ts';

const here = dirname(import.meta.filename);

await using stage = await openStage('subscriptions');
const { folder } = stage;

say('Two databases with the same 2,000 subscriptions');
const password = { db1: 'r@:/?#%ead er', db2: "wr'i@t:e/?#%" };
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
await stage.query('postgres', 'create database billing');
await stage.query('postgres', 'create database crm');
for (const database of ['billing', 'crm']) await stage.query(database, readFileSync(join(here, 'schema.sql'), 'utf8'));
await stage.query('crm', readFileSync(join(here, 'target.sql'), 'utf8'));
await stage.query(
  'billing',
  `create role reader login password ${literal(password.db1)}; grant select on subscriptions to reader`,
);
await stage.query(
  'crm',
  `create role writer login password ${literal(password.db2)}; grant select, insert, update, delete on subscriptions to writer;
   create schema lockstep authorization writer`,
);
cpSync(join(here, 'lockstep.yaml'), join(folder, 'lockstep.yaml'));
writeFileSync(
  join(folder, '.env'),
  [
    ['DB1', 'reader', password.db1, 'billing'],
    ['DB2', 'writer', password.db2, 'crm'],
  ]
    .map(
      ([name, user, secret, database]) =>
        `${name}_HOST=127.0.0.1\n${name}_PORT=${stage.port}\n${name}_USER=${user}\n${name}_PASSWORD="${secret}"\n${name}_DATABASE=${database}\n`,
    )
    .join('\n'),
);

say('The doctor looks at secrets, connections, rights, keys and types');
await lockstep(folder, ['check'], 21);

say('One right is missing; the statement it printed cures it');
await stage.query('crm', 'grant usage, select, update on sequence "public"."subscriptions_id_seq" to "writer"');
await lockstep(folder, ['check'], 0);

say('They agree');
await lockstep(folder, ['diff', 'subscriptions'], 0);

say('A status changes in database 1, a new subscription arrives, and somebody edits database 2 by hand');
await stage.query('billing', "update subscriptions set status = 'canceled', updated_at = now() where id = 42");
await stage.query(
  'billing',
  "insert into subscriptions (customer_id, plan, status, amount) values (1400, 'team', 'active', 99)",
);
await stage.query('crm', 'update subscriptions set amount = amount + 0.01 where id = 7');
await lockstep(folder, ['diff', 'subscriptions'], 2);

say('What a sync would do');
await lockstep(folder, ['plan', 'subscriptions'], 2);

say('Do it: compare, plan, apply under guards, verify');
await lockstep(folder, ['sync', 'subscriptions', '--yes'], 0);
await lockstep(folder, ['diff', 'subscriptions'], 0);

say('How did subscription 42 get here?');
await lockstep(folder, ['explain', 'subscriptions/public.subscriptions', '42'], 0);
await lockstep(folder, ['runs'], 0);
