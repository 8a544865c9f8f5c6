import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { parseTraceparent, traceparentOf } from '../../src/telemetry/traceparent.ts';
import { openTracer } from '../../src/telemetry/traces.ts';
import { differing, project } from '../service/project.ts';

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
  readonly status: { readonly code?: number };
}

/** A collector that takes OTLP over HTTP, and an API with one list, at one port. */
const spans: (Span & { readonly resource: Readonly<Record<string, unknown>> })[] = [];
const posted: { readonly url: string; readonly headers: IncomingHttpHeaders }[] = [];
const listed: IncomingHttpHeaders[] = [];
let answer = 200;
const server = createServer(async (request, reply) => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  if (request.url?.startsWith('/items')) {
    listed.push(request.headers);
    return void reply.setHeader('content-type', 'application/json').end('[{"id":1,"v":"one"}]');
  }
  posted.push({ url: request.url!, headers: request.headers });
  reply.statusCode = answer;
  reply.setHeader('content-type', 'application/json').end('{}');
  if (answer !== 200) return;
  const body = JSON.parse(Buffer.concat(parts).toString());
  for (const { resource, scopeSpans } of body.resourceSpans)
    for (const scope of scopeSpans)
      for (const span of scope.spans) {
        const about = resource.attributes.map((a: Span['attributes'][number]) => [a.key, a.value['stringValue']]);
        spans.push({ ...span, resource: Object.fromEntries(about) });
      }
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
after(() => {
  server.closeAllConnections();
  server.close();
});

const attributes = (span: Span): Readonly<Record<string, unknown>> =>
  Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

test('a call of the API, its run in another process, phases, batches and statements are one trace, in and out', async () => {
  const p = await project(
    `  ab: { source: source, target: target, mode: mirror, settle: 0s, apply: { batch_size: 10, concurrency: 1 },
    guards: { max_changes: 1000, max_change_ratio: 100%, max_deletes: 1000 }, pairs: [ { source: t, key: [id] } ] }
server: { auth: { mode: none } }
telemetry: { traces: { otlp: "http://127.0.0.1:${port}", allow_private: true, headers: { x-collector: "a secret" } } }
`,
  );
  await differing(p.source, p.target, 40);
  const serve = p.start('serve', '--port', '0');
  const { url } = await serve.line((l) => l['message'] === 'listening');
  const trace = '0af7651916cd43dd8448eb211c80319c';
  const call = await fetch(`${url}/api/v1/syncs/ab/run`, {
    method: 'POST',
    headers: { 'idempotency-key': 'k', traceparent: `00-${trace}-b7ad6b7169203331-01` },
  });
  assert.equal(call.status, 202, await (call.status === 202 ? '' : call.text()));
  const { id } = (await call.json()) as { id: string };
  const run = await p.ends(id);
  assert.equal(run.state, 'done', run.error?.message);
  // The worker's last batch of spans goes out by itself, or when it ends.
  serve.child.kill('SIGTERM');
  assert.equal(await serve.ended, 0);

  const ours = spans.filter((s) => s.traceId === trace);
  const named = (name: string | RegExp): Span[] =>
    ours.filter((s) => (typeof name === 'string' ? s.name === name : name.test(s.name)));
  const one = (name: string): Span => {
    const found = named(name);
    assert.equal(found.length, 1, `${name} in ${ours.map((s) => s.name).join(', ')}`);
    return found[0]!;
  };
  const request = one('POST /api/v1/syncs/:name/run');
  assert.deepEqual([request.parentSpanId, request.kind], ['b7ad6b7169203331', 2]);
  assert.equal(attributes(request)['http.response.status_code'], '202');
  const whole = one('run sync');
  assert.equal(whole.parentSpanId, request.spanId);
  assert.deepEqual(
    [attributes(whole)['lockstep.run'], attributes(whole)['lockstep.sync'], attributes(whole)['lockstep.outcome']],
    [id, 'ab', 'ended'],
  );
  assert.equal(attributes(whole)['lockstep.correlation'], attributes(request)['lockstep.correlation']);
  const phases = ['collect', 'detect', 'resolve', 'apply', 'record'].map((name) => one(`phase ${name}`));
  assert.ok(phases.every((s) => s.parentSpanId === whole.spanId));
  const batches = named(/^batch \d+$/);
  assert.ok(batches.length >= 4, `${batches.length} batches of 10`);
  assert.ok(batches.every((s) => s.parentSpanId === phases[3]!.spanId));
  const statements = named(/^statement (source|target)$/);
  assert.ok(statements.some((s) => /select/i.test(String(attributes(s)['db.query.text']))));
  assert.ok(statements.every((s) => phases.some((phase) => phase.spanId === s.parentSpanId)));
  for (const s of ours) assert.ok(BigInt(s.endTimeUnixNano) >= BigInt(s.startTimeUnixNano), s.name);
  const within = (inner: Span, outer: Span): boolean =>
    BigInt(inner.startTimeUnixNano) >= BigInt(outer.startTimeUnixNano) - 5_000_000n &&
    BigInt(inner.endTimeUnixNano) <= BigInt(outer.endTimeUnixNano) + 5_000_000n;
  assert.ok(phases.every((s) => within(s, whole)));
  assert.deepEqual(new Set(spans.map((s) => s.resource['service.name'])), new Set(['lockstep']));
  assert.deepEqual(new Set(spans.map((s) => s.resource['lockstep.part'])), new Set(['serve', 'worker']));
  assert.ok(posted.every((r) => r.url === '/v1/traces' && r.headers['x-collector'] === 'a secret'));
  assert.ok(!JSON.stringify(spans).includes(new URL(p.source.url).password || 'no password'));
});

test('an API that a run reads is told the trace', async () => {
  const { openTransport } = await import('../../src/engines/http/transport.ts');
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const settings = { side: 'api', allowPrivate: true, timeoutMs: 5000, maxBytes: 1000 };
  using transport = openTransport({ ...settings, correlation: 'c_1', traceparent });
  const signal = AbortSignal.timeout(5000);
  const exchange = { method: 'GET' as const, url: new URL(`http://127.0.0.1:${port}/items`), signal };
  await transport.exchange({ ...exchange, headers: {} });
  await transport.exchange({ ...exchange, headers: { TraceParent: 'own' } });
  assert.deepEqual(
    listed.map((h) => [h['x-request-id'], h['traceparent']]),
    [
      ['c_1', traceparent],
      ['c_1', 'own'],
    ],
  );
});

test('a collector that is away costs spans and nothing else; sampling and headers of others are heeded', async () => {
  const said: string[] = [];
  let random = 0.5;
  let on = true;
  const make = () =>
    openTracer({
      settings: () =>
        on
          ? {
              url: new URL(`http://127.0.0.1:${port}/v1/traces`),
              headers: {},
              allowPrivate: true,
              sample: 0.4,
              service: 's',
            }
          : undefined,
      clock: systemClock,
      random: () => random,
      redact: (text) => text.replaceAll('hunter2', '***'),
      log: { warn: (text: string) => void said.push(text), info: (text: string) => void said.push(text) },
      resource: {},
    });
  const sent = async (work: (tracer: ReturnType<typeof make>) => void): Promise<readonly Span[]> => {
    const before = spans.length;
    {
      await using tracer = make();
      work(tracer);
    }
    return spans.slice(before);
  };
  assert.deepEqual(await sent((t) => t.begin('not drawn')!.end()), []);
  random = 0.3;
  const [drawn] = await sent((t) => t.begin('drawn')!.end({ attributes: { n: 1.5, ok: true, sql: "'hunter2'" } }));
  assert.deepEqual(attributes(drawn!), { n: 1.5, ok: true, sql: "'***'" });
  const parent = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', sampled: false };
  assert.deepEqual(await sent((t) => t.begin('not theirs', { parent })!.end()), []);
  const [theirs] = await sent((t) =>
    t.ended('theirs', 20, { parent: { ...parent, sampled: true }, failed: 'hunter2' }),
  );
  assert.deepEqual([theirs!.traceId, theirs!.parentSpanId, theirs!.status.code], [parent.traceId, parent.spanId, 2]);
  answer = 503;
  await sent((t) => t.begin('lost')!.end());
  answer = 200;
  assert.deepEqual(said, ['traces are not sent']);
  on = false;
  assert.deepEqual([make().begin('off'), make().on()], [undefined, false]);

  assert.deepEqual(parseTraceparent(traceparentOf(parent)), parent);
  for (const wrong of [
    undefined,
    '',
    '00-0-0-00',
    `ff-${parent.traceId}-${parent.spanId}-01`,
    `00-${'0'.repeat(32)}-${parent.spanId}-01`,
    `00-${parent.traceId}-${parent.spanId}-01-x`,
  ])
    assert.equal(parseTraceparent(wrong), undefined, String(wrong));
  assert.equal(parseTraceparent(`01-${parent.traceId}-${parent.spanId}-01-later`)!.sampled, true);
});
