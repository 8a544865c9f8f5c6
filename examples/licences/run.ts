/** The story of this example, told by running it. Every command is the one a user would type. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { lockstep, openStage, say } from '../story.ts';
import { startVendor } from './vendor.ts';

const here = dirname(import.meta.filename);
const token = 't@:/?#%oken';

await using stage = await openStage('licences');
await using vendor = await startVendor({ count: 500, token });
const { folder } = stage;
await stage.query('postgres', 'create database shop');
await stage.query('shop', readFileSync(join(here, 'schema.sql'), 'utf8'));
cpSync(join(here, 'lockstep.yaml'), join(folder, 'lockstep.yaml'));
writeFileSync(
  join(folder, '.env'),
  `VENDOR_URL=${vendor.url}\nVENDOR_TOKEN="${token}"\nDATABASE_URL=${stage.url('shop')}\n`,
);
const run = (args: readonly string[], promised: number): Promise<void> => lockstep(folder, args, promised);
const insist = (fact: boolean, what: string): void => {
  if (!fact) throw new Error(`it is not so that ${what}`);
};
const count = async (where = 'true'): Promise<number> =>
  Number((await stage.query('shop', `select count(*)::int as n from licenses where ${where}`))[0]!['n']);

say('A vendor has 500 licences behind an API; our table is empty. What is there to know before the first sync?');
await run(['check'], 0);

say('Full: every licence is new to us');
await run(['sync', 'licences', '--yes'], 0);
insist((await count()) === 500, 'all licences came');

say('Up to date: nothing is written, every row counts as already_synced');
await run(['sync', 'licences', '--full', '--yes'], 0);

say('The vendor changes three licences, makes one, and makes one that cannot be');
const licence = (id: string) => vendor.licenses.get(id)!;
for (const id of ['lic_0007', 'lic_0008']) vendor.put({ ...licence(id), status: 'inactive' });
vendor.put({ ...licence('lic_0100'), price: '99.95' });
vendor.put({ ...licence('lic_0001'), id: 'lic_0501', customer: { name: 'Brand New Ltd' } });
vendor.put({ ...licence('lic_0002'), id: 'lic_0502', seats: 0 });

say('Incremental: only these are asked for. Deleted licences cannot be seen this way, and the run says so (exit 25)');
const before = vendor.requests;
await run(['sync', 'licences', '--yes'], 25);
console.log(`\n(${vendor.requests - before} requests were sent)`);
insist((await count(`status = 'inactive' and external_id in ('lic_0007', 'lic_0008')`)) === 2, 'two are inactive');
insist((await count(`external_id = 'lic_0100' and price = 99.95`)) === 1, 'the price came');
insist((await count(`external_id in ('lic_0501', 'lic_0502')`)) === 1, 'the valid new one came, the other did not');
await run(['quarantine', 'list', 'licences'], 0);

say('The vendor mends it; the next run takes it along');
vendor.put({ ...licence('lic_0502'), seats: 3 });
await run(['sync', 'licences', '--yes'], 25);
insist((await count()) === 502, 'the mended one came');

say('The proof: all licences are compared');
await run(['diff', 'licences', '--full'], 0);

say('A bad day at the vendor: lists end after their first page. Nothing is concluded from that, nothing is written');
vendor.broken = true;
await run(['sync', 'licences', '--full', '--yes'], 25);
vendor.broken = false;
insist((await count()) === 502, 'no licence was lost');

say('And back: support changes a status here, and the vendor is told');
await stage.query('shop', "update licenses set status = 'inactive', seats = 2 where external_id = 'lic_0042'");
await run(['plan', 'back'], 2);
await run(['sync', 'back', '--yes'], 0);
insist(licence('lic_0042').status === 'inactive' && licence('lic_0042').seats === 2, 'the vendor knows');

say('How did licence lic_0007 get here?');
await run(['explain', 'licences/licenses', 'lic_0007'], 0);
await run(['runs'], 0);
