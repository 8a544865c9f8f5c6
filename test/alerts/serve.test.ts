import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { project, until } from '../service/project.ts';

const told: {
  readonly alerts: readonly { readonly rule: string; readonly state: string; readonly summary: string }[];
}[] = [];
const receiver = createServer((request, response) => {
  request.on('data', (chunk: Buffer) => void told.push(JSON.parse(chunk.toString())));
  request.on('end', () => response.writeHead(204).end());
});
await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
after(() => receiver.close());

const p = await project(`  items: { source: source, target: target, mode: compare, settle: 0s, pairs: [items] }
alerts:
  every: 200ms
  channels:
    ops:
      webhook: "http://127.0.0.1:${(receiver.address() as AddressInfo).port}/"
      secret: "a secret of this test alone"
      allow_private: true
  rules: { breaker_open: false, endpoint_latency: false }
`);

test('serve tells a webhook what its workers find, and that it is over', async () => {
  for (const [db, rows] of [[p.source, 3] as const, [p.target, 2] as const]) {
    await db.query('create table items (id int primary key)');
    await db.query('insert into items select generate_series(1, $1::int)', [rows]);
  }
  const server = p.start('serve', '--port', '0');
  await p.ends((await p.request({ kind: 'diff', sync: 'items' })).id);
  const states = () => told.flatMap((t) => t.alerts.map((a) => `${a.rule} ${a.state}`));
  await until(async () => states().length > 0);
  assert.match(told[0]!.alerts[0]!.summary, /^items: 33\.3 % of the rows of .*items differed/);
  await p.target.query('insert into items values (3)');
  await p.ends((await p.request({ kind: 'diff', sync: 'items' })).id);
  await until(async () => states().length > 1);
  server.child.kill('SIGTERM');
  assert.equal(await server.ended, 0);
  assert.deepEqual(states(), ['drift firing', 'drift resolved']);
  assert.deepEqual(
    server.lines.flatMap((l) => (String(l['message']).startsWith('alert ') ? [l['message']] : [])),
    ['alert firing', 'alert resolved'],
  );
});
