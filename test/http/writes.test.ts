import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Reply, served } from './served.ts';

const { ask, run, token, target, ended } = await served();

const codes = ({ status, body }: Reply): readonly unknown[] => [status, body?.code];
const key = (value: string) => ({ 'idempotency-key': value });

test('a plan is read, agreed to and applied only as it was seen, once, and undone again', async () => {
  const made = await run({ kind: 'plan', sync: 'items' });
  const path = `/api/v1/plans/${made.plan}`;
  const shown = await ask('GET', path);
  assert.deepEqual([shown.body.state, shown.body.counts], ['ready', { insert: 2, update: 1, delete: 1 }]);
  assert.deepEqual(
    [shown.body.guards.max_change_ratio, shown.body.guards.max_deletes, shown.body.settings.batch_size],
    [1, 5, 700],
  );
  const tag = shown.headers.get('etag')!;
  const blind = await token('blind', { scopes: ['plans:read', 'runs:read'] });
  const masked = await ask('GET', path, { token: blind });
  assert.ok('unfit_examples' in shown.body.summary && !('unfit_examples' in masked.body.summary));
  const items = (await ask('GET', `${path}/items`)).body.data;
  assert.deepEqual(items.map((c: { op: string }) => c.op).sort(), ['delete', 'insert', 'insert', 'update']);
  const approve = (headers: Record<string, string>, bearer?: string) =>
    ask('POST', `${path}/approve`, { headers, json: { comment: 'fine' }, ...(bearer ? { token: bearer } : {}) });
  assert.deepEqual(codes(await approve({})), [428, 'PRECONDITION_REQUIRED']);
  assert.deepEqual(codes(await approve({ 'if-match': '*' })), [428, 'PRECONDITION_REQUIRED']);
  assert.deepEqual(codes(await approve({ 'if-match': '"0000"' })), [412, 'PRECONDITION_FAILED']);
  assert.deepEqual(codes(await approve({ 'if-match': `W/${tag}` })), [412, 'PRECONDITION_FAILED']);
  const viewer = await token('viewer', { role: 'viewer' });
  assert.deepEqual(codes(await approve({ 'if-match': tag }, viewer)), [403, 'FORBIDDEN']);
  const approved = await approve({ 'if-match': tag });
  assert.deepEqual([approved.status, approved.body.approvals[0].comment], [200, 'fine']);
  assert.notEqual(approved.headers.get('etag'), tag);
  assert.equal((await ask('GET', path, { headers: { 'if-none-match': tag } })).status, 200);

  const apply = (headers: Record<string, string>) => ask('POST', `${path}/apply`, { headers });
  assert.deepEqual(codes(await apply(key('a1'))), [428, 'PRECONDITION_REQUIRED']);
  assert.deepEqual(codes(await apply({ 'if-match': tag })), [400, 'IDEMPOTENCY_KEY_REQUIRED']);
  const right = { 'if-match': `"${shown.body.hash}"`, ...key('a1') };
  const [one, two] = await Promise.all([apply(right), apply(right)]);
  assert.equal(one.body.id, two.body.id);
  const applied = await ended(one.body.id);
  assert.deepEqual([applied.state, applied.kind], ['done', 'apply'], JSON.stringify(applied.error));
  const again = await apply(right);
  assert.deepEqual([again.status, again.body.id], [200, one.body.id]);
  assert.equal(again.headers.get('location'), `/api/v1/runs/${one.body.id}`);
  assert.deepEqual(codes(await apply({ ...right, ...key('a2') })), [409, 'PLAN_USED']);
  const { rows } = await target.query('select id, status from items order by id');
  assert.deepEqual(
    rows.map((r) => [r.id, r.status].join()),
    ['1,active', '2,active', '3,active', '4,active'],
  );

  const changes = (await ask('GET', `/api/v1/changes?run=eq.${applied.id}`)).body.data;
  assert.equal(changes.length, 4);
  assert.ok(changes.every((c: { status: string }) => c.status === 'applied'));
  const pages: unknown[] = [];
  let cursor = '';
  do {
    const page = (await ask('GET', `/api/v1/changes?run=eq.${applied.id}&limit=1${cursor}`)).body;
    pages.push(...page.data);
    cursor = page.page.next_cursor === null ? '' : `&cursor=${page.page.next_cursor}`;
  } while (cursor !== '');
  assert.deepEqual(pages, changes);
  assert.deepEqual((await ask('GET', `/api/v1/changes/${changes[2].id}`)).body, changes[2]);
  const written = (await ask('GET', '/api/v1/history?sync=items&key=2')).body.data;
  assert.deepEqual(
    [written[0].what, written[0].status, written[0].cells],
    ['written', 'applied', [{ column: 'status', before: 'inactive', after: 'active' }]],
  );

  const undo = (name: string, more: object) =>
    ask('POST', '/api/v1/changes/revert', { json: { run: applied.id, ...more }, headers: key(name) });
  for (const [name, more, says] of [
    ['u-1', {}, /would delete 2 rows, max_deletes is 0\. Nothing was written\./],
    ['u-2', { allow_deletes: 2, max_changes: 3 }, /has 4 changes, max_changes is 3\. Nothing was written\./],
  ] as const) {
    const refused = await ended((await undo(name, more)).body.id);
    assert.deepEqual([refused.state, refused.exit, refused.error.code], ['failed', 22, 'GUARD']);
    assert.match(refused.error.message, says);
    assert.deepEqual(refused.requested, { kind: 'revert', run: applied.id, ...more });
  }
  const undone = await undo('u1', { allow_deletes: 2 });
  assert.equal(undone.status, 202);
  const reverted = await ended(undone.body.id);
  assert.equal(reverted.state, 'done', JSON.stringify(reverted.error));
  const back = await target.query('select id, status from items order by id');
  assert.deepEqual(
    back.rows.map((r) => [r.id, r.status].join()),
    ['1,active', '2,inactive', '9,active'],
  );
});

test('the same key is the same run for its caller, and another question under it is refused', async () => {
  const start = (json: unknown, more: object = {}) =>
    ask('POST', '/api/v1/runs', { json, headers: key('once'), ...more });
  const first = await start({ kind: 'diff', sync: 'look' });
  const second = await start({ kind: 'diff', sync: 'look' });
  assert.equal(first.body.id, second.body.id);
  assert.deepEqual(codes(await start({ kind: 'diff', sync: 'look', full: true })), [422, 'IDEMPOTENCY_MISMATCH']);
  const other = await token('other', { role: 'operator' });
  assert.notEqual((await start({ kind: 'diff', sync: 'look' }, { token: other })).body.id, first.body.id);
});

test('a sync is paused, resumed and run, and its status says how it fares', async () => {
  assert.equal((await ask('POST', '/api/v1/syncs/items/pause')).body.paused.by, 'token:boss');
  const waiting = await ask('POST', '/api/v1/syncs/items/run', { headers: key('p1') });
  assert.equal(waiting.status, 202);
  assert.equal(waiting.body.paused.by, 'token:boss', 'who asks is told why it will not begin');
  const status = (await ask('GET', '/api/v1/syncs/items/status')).body;
  assert.equal(status.paused.by, 'token:boss');
  assert.deepEqual(
    status.queued.map((r: { id: string }) => r.id),
    [waiting.body.id],
  );
  assert.deepEqual(status.queued[0].paused, status.paused);
  const cancelled = await ask('POST', `/api/v1/runs/${waiting.body.id}/cancel`);
  assert.deepEqual([cancelled.status, cancelled.body.state, cancelled.body.paused], [202, 'cancelled', null]);
  assert.deepEqual(codes(await ask('POST', `/api/v1/runs/${waiting.body.id}/cancel`)), [409, 'CONFLICT']);
  assert.equal((await ask('POST', '/api/v1/syncs/items/resume')).body.paused, null);
  assert.deepEqual(codes(await ask('POST', '/api/v1/syncs/items/run')), [400, 'IDEMPOTENCY_KEY_REQUIRED']);
  const synced = await ended((await ask('POST', '/api/v1/syncs/items/run', { headers: key('p2') })).body.id);
  assert.deepEqual([synced.kind, synced.state, synced.paused], ['sync', 'done', null], JSON.stringify(synced.error));
  const after = (await ask('GET', '/api/v1/syncs/items/status')).body;
  assert.equal(after.paused, null);
  assert.ok(after.as_of !== null && after.age_seconds >= 0);
  // One that writes nothing needs no key.
  assert.equal((await ask('POST', '/api/v1/syncs/look/run')).status, 202);
});
