import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { answerOf } from '../../src/http/errors.ts';
import { allRoutes } from '../../src/http/routes.ts';
import { redactor } from '../../src/lib/redact.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/guide/resilience.md'), 'utf8');

test('the configuration of the page is one, and its control store has two hosts', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-guide-'));
  try {
    const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((m) => m[1]!);
    assert.equal(blocks.length, 1);
    writeFileSync(join(dir, 'lockstep.yaml'), blocks[0]!);
    const config = await loadConfig(join(dir, 'lockstep.yaml'), {
      cwd: dir,
      env: { CRM_REPLICA_URL: 'postgres://me@b/crm' },
    });
    const crm = config.endpoints['crm']!;
    assert.deepEqual(crm.breaker, { failures: 5, resetAfterMs: 60_000 });
    assert.deepEqual(crm.replicas(), ['postgres://me@b/crm']);
    assert.equal(urlConnector(config.control()!).description, 'postgres://lockstep@ops1:5432,ops2:5432/lockstep');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('every path of the page is a route', () => {
  const sources = allRoutes.length;
  assert.ok(sources > 5);
  const openapi = readFileSync(join(import.meta.dirname, '../../docs/reference/openapi.json'), 'utf8');
  const { paths } = JSON.parse(openapi) as { paths: Record<string, unknown> };
  const named = [...page.matchAll(/`(\/(?:livez|readyz|health|api\/v1\/[a-z/]+))/g)].map((m) => m[1]!);
  assert.ok(named.length >= 6);
  for (const path of named) assert.ok(paths[path], path);
});

test('what is away for a while is answered with 503 and when to ask again', () => {
  for (const [code, retryAfterMs, after] of [
    ['PRIMARY_DOWN', 4200, '5'],
    ['CIRCUIT_OPEN', 41_000, '41'],
  ] as const) {
    const error = new LockstepError(code, 'crm: away', { retryAfterMs });
    const { problem, headers } = answerOf(error, { correlation: 'c', redactor: redactor() });
    assert.equal(problem.status, 503);
    assert.equal(problem.code, code);
    assert.equal(headers['retry-after'], after);
  }
});
