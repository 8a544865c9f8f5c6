import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { freshStore } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';
import { asked } from './project.ts';

/** The page about the service, by what its configuration and its statement are to the program. */

const { store, database } = await freshStore();
const page = readFileSync(new URL('../../docs/guide/service.md', import.meta.url), 'utf8');
const blocks = (language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text]) => text!);

test('the schedules of the guide are read as it says', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-guide-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const [yaml, approvals, ...more] = blocks('yaml');
  assert.deepEqual(more, []);
  assert.match(approvals!, /approvals:/, 'which its own test reads');
  writeFileSync(join(dir, 'lockstep.yaml'), yaml!);
  const { syncs, endpoints } = await loadConfig(join(dir, 'lockstep.yaml'), { cwd: dir, env: {} });
  assert.deepEqual(syncs['subscriptions']!.schedule, { everyMs: 5000, jitterMs: 0, missed: 'run_once' });
  assert.equal(syncs['proof']!.schedule!.missed, 'skip');
  assert.equal(syncs['report']!.after, 'subscriptions');
  assert.equal(endpoints['billing']!.concurrency, 2);
});

test('its statement shows the queue', async () => {
  await store.desk.request({ kind: 'diff', sync: 's' }, asked, o);
  const [sql] = blocks('sql');
  const { rows } = await database.query(sql!);
  assert.deepEqual(
    rows.map((r) => [r.state, r.count]),
    [['queued', '1']],
  );
});
