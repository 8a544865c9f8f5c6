import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { openapiText } from '../../scripts/openapi.ts';
import { scopes } from '../../src/access/scopes.ts';
import type { Answer, Document } from '../../src/http/openapi.ts';
import type { JsonSchema } from '../../src/http/openapi-example.ts';
import { generator, randomOf } from './generate.ts';
import { served } from './served.ts';

const root = join(import.meta.dirname, '../..');
const { url, ask, token, store, ended, lines } = await served();
const document = (await ask('GET', '/openapi.json', { token: null })).body as Document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
);

const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema({ $id: 'doc', ...document });
const compiled = new Map<string, (value: unknown) => boolean>();
/** What is wrong with a value of this schema; undefined: nothing. */
const faults = (schema: JsonSchema, value: unknown): string | undefined => {
  const text = JSON.stringify(schema).replaceAll('"#/components/', '"doc#/components/');
  const check = compiled.get(text) ?? ajv.compile(JSON.parse(text));
  compiled.set(text, check as never);
  return check(value) ? undefined : ajv.errorsText((check as unknown as { errors: never }).errors);
};
const answerOf = (given: Answer | { readonly $ref: string } | undefined): Answer | undefined =>
  given && '$ref' in given ? document.components.responses[given.$ref.split('/').at(-1)!] : given;

test('the committed document is the one that the server gives', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const file = readFileSync(join(root, 'docs/reference/openapi.json'), 'utf8');
  assert.equal(file, await openapiText(version), 'docs/reference/openapi.json is stale: npm run docs');
});

test('every operation has an id, a summary, a scope, its failures, and examples that fit', () => {
  assert.ok(operations.length >= 30, `saw only ${operations.length}`);
  const ids = operations.map(({ operation }) => operation.operationId);
  assert.equal(new Set(ids).size, ids.length);
  for (const { name, operation: o } of operations) {
    assert.ok(o.summary.length > 5 && o.tags.length === 1, name);
    assert.ok(
      document.tags.some((t) => t.name === o.tags[0]),
      `${name}: tag ${o.tags[0]} has no description`,
    );
    const scope = o['x-lockstep-scope'];
    assert.ok(scope === 'public' || scope === 'any' || (scopes as readonly string[]).includes(scope), name);
    const statuses = Object.keys(o.responses);
    const must = scope === 'public' ? ['500', '503'] : ['401', '429', '500', '503'];
    for (const status of [...must, ...(scope === 'public' || scope === 'any' ? [] : ['403'])])
      assert.ok(statuses.includes(status), `${name} does not say ${status}`);
    for (const [type, { schema, example }] of Object.entries(o.requestBody?.content ?? {})) {
      assert.notEqual(example, undefined, `${name}: no example of ${type}`);
      assert.equal(faults(schema, example), undefined, `${name}: the example of its body`);
    }
    for (const p of o.parameters ?? []) {
      if (p.in === 'path' || p.required) assert.notEqual(p.example, undefined, `${name}: no example of ${p.name}`);
      if (p.example !== undefined)
        assert.equal(faults(p.schema, p.example), undefined, `${name}: example of ${p.name}`);
    }
    for (const [status, given] of Object.entries(o.responses))
      for (const [type, { schema, example }] of Object.entries(answerOf(given)?.content ?? {})) {
        if (!/[/+]json$/.test(type)) continue;
        assert.notEqual(example, undefined, `${name} ${status}: no example`);
        assert.equal(faults(schema, example), undefined, `${name} ${status}: its example`);
      }
  }
});

test('the page of it names every operation, runs no script and takes nothing from elsewhere', async () => {
  const page = await ask('GET', '/docs', { token: null });
  assert.equal(page.status, 200);
  for (const { operation } of operations) assert.ok(page.text.includes(`id="${operation.operationId}"`));
  assert.doesNotMatch(page.text, /<script|\bon\w+=|style=|(src|href)="(https?:)?\/\//i);
  assert.match(page.headers.get('content-security-policy')!, /default-src 'self'/);
  const errors = await ask('GET', '/docs/errors', { token: null });
  const { type } = (await ask('GET', '/api/v1/runs/r_none')).body;
  assert.ok(errors.text.includes(`id="${type.split('#')[1]}"`));
});

test('random requests, right and wrong, get no failure of ours and no answer that the document does not have', async (t) => {
  const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000_000);
  const count = Number(process.env['LOCKSTEP_TEST_REQUESTS'] ?? 300);
  t.diagnostic(`LOCKSTEP_TEST_SEED=${seed} LOCKSTEP_TEST_REQUESTS=${count}`);
  const start = async (json: object) => ended((await ask('POST', '/api/v1/runs', { json })).body.id);
  const diff = await start({ kind: 'diff', sync: 'items' });
  const made = await start({ kind: 'plan', sync: 'items' });
  const plan = await ask('GET', `/api/v1/plans/${made.plan}`);
  // Nothing is carried out meanwhile.
  for (const sync of ['items', 'look', 'strict']) await ask('POST', `/api/v1/syncs/${sync}/pause`);
  const narrow = await token('narrow', { role: 'operator', syncs: ['look'] });
  const next = generator(
    document,
    {
      names: [
        'things',
        'items',
        'look',
        'strict',
        'left',
        'right',
        diff.id,
        made.id,
        made.plan,
        'public.items',
        `${diff.id}.1.1`,
      ],
      tags: [plan.headers.get('etag')!, `"${plan.body.hash}"`],
      tokens: [
        await token('all', { role: 'admin' }),
        await token('some', { role: 'viewer' }),
        narrow,
        null,
        'lsk_none',
      ],
    },
    randomOf(seed),
  );
  const seen = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const q = next();
    const stream = q.operation.operationId === 'streamEvents';
    const reply = stream ? await firstOf(q) : await ask(q.method, q.path, q);
    const what = `seed ${seed}, request ${i}: ${q.method} ${q.path.slice(0, 300)} ${JSON.stringify(q.headers)} ${q.body?.slice(0, 300) ?? ''}\n-> ${reply.status} ${reply.text.slice(0, 1000)}\n${reply.status < 500 ? '' : lines.slice(-5).join('')}`;
    assert.ok(reply.status < 500, what);
    const answer = answerOf(q.operation.responses[String(reply.status)]);
    assert.ok(answer, `not in the document: ${what}`);
    const type = (reply.headers.get('content-type') ?? '').split(';')[0]!;
    if (reply.status !== 304 && !stream) {
      const content = answer.content?.[type];
      assert.ok(content || reply.text === '', `${type} is not in the document: ${what}`);
      if (reply.body !== undefined && content) assert.equal(faults(content.schema, reply.body), undefined, what);
    }
    const kind = `${q.operation.operationId} ${reply.status}`;
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
  }
  const good = new Set([...seen.keys()].filter((k) => / 2\d\d$/.test(k)).map((k) => k.split(' ')[0]));
  t.diagnostic(`${seen.size} kinds of answers, ${good.size} operations answered well`);
  assert.ok(good.size >= Math.min(15, count / 20), [...good].join(' '));
  assert.equal((await store.audit.verify([], { signal: AbortSignal.timeout(10_000) })).problems.length, 0);
});

/** The beginning of a stream that has no end. */
const firstOf = async (q: { readonly path: string; readonly headers: object; readonly token: string | null }) => {
  const abort = new AbortController();
  const reply = await fetch(`${url}${q.path}`, {
    headers: { ...q.headers, ...(q.token === null ? {} : { authorization: `Bearer ${q.token}` }) },
    signal: abort.signal,
  });
  const ok = reply.status === 200;
  const text = ok ? '' : await reply.text();
  abort.abort();
  return { status: reply.status, headers: reply.headers, text, body: ok ? undefined : JSON.parse(text) };
};
