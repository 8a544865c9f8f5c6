import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { insert, item, newPlan, o } from './plain.ts';

/** Writes, verifies, reads and exports a plan of many items in little memory: `write-plan.ts URL ITEMS`. Says what it counted. */
const [url = '', count = ''] = process.argv.slice(2);
const items = Number(count);
const cell = 'x'.repeat(250);
await using store = await openPostgresStore(urlConnector(url), o);
const plan = newPlan();
{
  await using writer = await store.plans.create(plan, o);
  for (let i = 0; i < items; i += 1000) {
    await writer.add(
      Array.from({ length: 1000 }, (_, j) => item(insert(String(i + j), cell, `${cell}${i + j}`))),
      o,
    );
  }
  await writer.seal(o);
}
await store.plans.verify(plan.id, o);
let read = 0;
for await (const batch of store.plans.items(plan.id, o)) read += batch.length;
let bytes = 0;
const file = async function* (): AsyncGenerator<Uint8Array> {
  for await (const piece of store.plans.export(plan.id, o)) {
    bytes += piece.length;
    yield piece;
  }
};
await store.plans.import(file(), o);
process.stdout.write(JSON.stringify({ read, bytes, rss: process.resourceUsage().maxRSS * 1024 }));
