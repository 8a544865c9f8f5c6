import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { testDatabase } from '../servers/postgres.ts';
import { type Ask, recordsService } from './service.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/guide/records.md'), 'utf8');
const block = (language: string): string => new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(page)![1]!;
const exchanges = [...page.matchAll(/^```http\n([\s\S]*?)^```\n\n```json (\d+)\n([\s\S]*?)^```/gm)];

const database = await testDatabase();
after(() => database[Symbol.asyncDispose]());
await database.query(block('sql'));
const { token, as } = await recordsService(`${block('yaml')}server: { rate_limit: { requests: 100, per: 1m } }\n`, {
  DATABASE_URL: database.url,
});
const writer = await token('writer', { scopes: ['records:read', 'records:write'] });
const reader = await token('reader', { scopes: ['records:read'] });
const eager = await token('eager', { scopes: ['records:read'] });

const callers: Readonly<Record<string, Ask>> = {
  none: as(undefined),
  'of a token that may only read': reader,
  'of a token that has asked too often': eager,
};

/** What is said holds; `…` stands for anything. */
const holds = (shown: unknown, answered: unknown, at: string): void => {
  if (shown === '…') {
    assert.notEqual(answered, undefined, at);
  } else if (Array.isArray(shown)) {
    assert.ok(Array.isArray(answered) && answered.length === shown.length, `${at}: ${JSON.stringify(answered)}`);
    for (const [i, one] of shown.entries()) holds(one, answered[i], `${at}/${i}`);
  } else if (shown !== null && typeof shown === 'object') {
    const given = answered as Record<string, unknown>;
    if (!('…' in shown)) assert.deepEqual(Object.keys(given).sort(), Object.keys(shown).sort(), at);
    for (const [name, value] of Object.entries(shown)) if (name !== '…') holds(value, given[name], `${at}/${name}`);
  } else assert.equal(answered, shown, at);
};

test('every request of the guide is answered as it says', async () => {
  for (let i = 0; i < 110; i++) await eager('GET', '/records/transactions?limit=1');
  const statuses = new Set<number>();
  for (const [, request, status, answer] of exchanges) {
    const [head, body] = request!.split('\n\n') as [string, string?];
    const [first, ...lines] = head.trim().split('\n');
    const [method, path] = first!.split(' ') as [string, string];
    const headers = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s).slice(0, 2))) as Record<
      string,
      string
    >;
    const { Authorization: who, 'Content-Type': _, ...rest } = headers;
    const seen = /^the ETag of (.*)$/.exec(rest['If-Match'] ?? '')?.[1];
    if (seen !== undefined) rest['If-Match'] = (await writer('GET', seen)).headers.get('etag')!;
    const ask = who === undefined ? writer : callers[who]!;
    const found = await ask(method, path, { headers: rest, ...(body === undefined ? {} : { body: body.trim() }) });
    assert.equal(found.status, Number(status), `${first}: ${found.text}`);
    statuses.add(found.status);
    if (answer!.trim() !== '') holds(JSON.parse(answer!), found.json, first!);
  }
  for (const status of [200, 201, 204, 400, 401, 403, 404, 409, 412, 422, 428, 429])
    assert.ok(statuses.has(status), `${status}`);
});
