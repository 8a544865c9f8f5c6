import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { RawBatch } from '../../src/model/reader.ts';
import type { Row } from '../../src/model/row.ts';
import type { Selection } from '../../src/model/selected.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { connect, keyOf, never, readAll, tableOf } from './postgres-support.ts';

const rows = 20_000;
let db: TestDatabase;
let endpoint: Endpoint;
let selection: Selection;
before(async () => {
  db = await testDatabase();
  await db.query(`create table many (id bigint primary key, v text, n numeric(9,2), at timestamptz)`);
  await db.query(`insert into many select n, nullif(repeat(chr(65 + n % 50), n % 90), ''), n / 7.0, timestamptz 'epoch' + n * interval '1.5 s'
    from generate_series(1, ${rows}) n`);
  endpoint = await connect(db.url);
  const table = await tableOf(endpoint, 'many');
  selection = nativeSelection(table, keyOf(table));
});
after(async () => {
  await endpoint[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

const cheapest = (offered: readonly (readonly string[])[]): readonly string[] => offered.map(([first]) => first!);
const bytesOf = (b: RawBatch): string => b.bytes.toString('latin1', b.start, b.ends[b.count - 1]!);

test('many batches are the rows of a scan, and a batch is whole until the next but one is asked for', async () => {
  await using reader = await endpoint.snapshot({ signal: never });
  const spellings = cheapest((await reader.raw!.spellings(selection, { signal: never }))!);
  assert.deepEqual(spellings, ['int8', 'canonical', 'numeric of scale 2', 'microseconds']);
  const found: Row[] = [];
  let previous: { readonly batch: RawBatch; readonly bytes: string } | undefined;
  let batches = 0;
  for await (const batch of reader.raw!.read(selection, spellings, { signal: never })) {
    batches++;
    if (previous) assert.equal(bytesOf(previous.batch), previous.bytes);
    previous = { batch, bytes: bytesOf(batch) };
    for (let i = 0; i < batch.count; i++) found.push(batch.row(i));
  }
  assert.ok(batches > 4, `only ${batches} batches`);
  assert.deepEqual(found, await readAll(reader, selection));
});

test('who leaves early, or aborts, costs the reader nothing', async () => {
  await using reader = await endpoint.snapshot({ signal: never });
  const spellings = cheapest((await reader.raw!.spellings(selection, { signal: never }))!);
  for await (const batch of reader.raw!.read(selection, spellings, { signal: never })) {
    assert.ok(batch.count > 0);
    break;
  }
  const controller = new AbortController();
  await assert.rejects(async () => {
    for await (const batch of reader.raw!.read(selection, spellings, { signal: controller.signal })) {
      assert.ok(batch.count > 0);
      controller.abort();
    }
  }, /stopped/);
  assert.equal(await reader.count(selection, { signal: never }), rows);
});

test('a spelling that is not offered is refused', async () => {
  await using reader = await endpoint.snapshot({ signal: never });
  const asked = ['int8', 'canonical', 'numeric of scale 4', 'microseconds'];
  const read = reader.raw!.read(selection, asked, { signal: never })[Symbol.asyncIterator]();
  await assert.rejects(read.next(), /many\.n has no spelling numeric of scale 4/);
});
