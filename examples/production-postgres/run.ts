/** The story of this example, told by running it. Every command is the one a user would type. */
import { chmodSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { lockstep, openStage, say } from '../story.ts';

const here = dirname(import.meta.filename);

await using stage = await openStage('production-postgres');
const { folder } = stage;
const file = join(folder, 'old.sqlite');
const old = (sql: string): void => {
  const db = new DatabaseSync(file, { enableForeignKeyConstraints: false });
  db.exec(sql);
  db.close();
};
const run = (args: readonly string[], promised: number): Promise<void> => lockstep(folder, args, promised);

await stage.query('postgres', 'create database shop');
cpSync(join(here, 'lockstep.yaml'), join(folder, 'lockstep.yaml'));
writeFileSync(
  join(folder, '.env'),
  `DB_HOST=127.0.0.1\nDB_PORT=${stage.port}\nDB_NAME=shop\nDB_USER=postgres\nDB_PASSWORD=${stage.password}\n`,
);
old(readFileSync(join(here, 'old.sql'), 'utf8'));

say('1. Assess: what is in the old file, and what would not fit?');
await run(['assess', 'old', 'new'], 2);

say('Three rows are not what their columns say. They are mended where they are, by whoever knows what they mean');
old(`update orders set quantity = 12 where id = 1200;
  update customers set born = '1985-02-28' where id = 77;
  delete from orders where customer_id = 9999`);
await run(['assess', 'old', 'new'], 0);

say('2. Copy: tables, keys, indexes and every row; then everything is compared, and certified');
await run(['copy', 'old', 'new', '--yes', '--out', 'certificate.json'], 0);
const certificate = JSON.parse(readFileSync(join(folder, 'certificate.json'), 'utf8')) as { readonly verdict: string };
console.log(`\n(certificate.json says: ${certificate.verdict})`);

say('3. Catch up: the old application went on writing');
old(`update orders set status = 'shipped', updated_at = '2026-03-01 08:00:00' where id between 10 and 19;
  insert into orders (customer_id, status, quantity, total, updated_at) values (5, 'open', 2, 19.99, '2026-03-01 08:01:00');
  delete from orders where id = 3`);
await run(['diff', 'catch_up'], 2);
await run(['sync', 'catch_up', '--yes'], 0);

say('4. Freeze: the old application is stopped, its file is read-only. The last verification');
chmodSync(file, 0o444);
await run(['diff', 'catch_up'], 0);

say('Would damage be noticed? Somebody changes one cent');
await stage.query('shop', 'update orders set total = total + 0.01 where id = 2000');
await run(['diff', 'catch_up'], 2);
await stage.query('shop', 'update orders set total = total - 0.01 where id = 2000');
await run(['diff', 'catch_up'], 0);

say('5. Switch: the application now writes to PostgreSQL. New numbers go on where the old ones ended');
await stage.query(
  'shop',
  `insert into orders (customer_id, status, quantity, total, updated_at) values (7, 'open', 1, 42, '2026-03-02 09:00:00');
   update customers set name = 'Renamed Ltd' where id = 100`,
);

say('6. The way back is kept open: what the new side has written goes into the old file');
chmodSync(file, 0o644);
await run(['sync', 'way_back', '--yes'], 0);
await run(['diff', 'way_back'], 0);
