import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Reply, served } from './served.ts';

const { ask, run, token, source, target, ended } = await served({
  config: (text) =>
    `${text.replace('{ url: "${env:LEFT}" }', '{ url: "${env:LEFT}", writable: true }')}  both: { source: left, target: right, mode: two_way, settle: 0s, pairs: [ { source: public.people, key: [id] } ] }\n`,
});
const codes = ({ status, body }: Reply): readonly unknown[] => [status, body?.code];
const people = `create table people (id int primary key, name text, born date);
  insert into people select i, 'n' || i, '2000-01-01' from generate_series(1, 9) i`;
await Promise.all([source.query(people), target.query(people)]);

/** What both sides show of a person. */
const shown = async (id: number): Promise<readonly unknown[]> => {
  const of = async (side: typeof source) =>
    (await side.query(`select name from people where id = ${id}`)).rows[0]?.name;
  return [await of(source), await of(target)];
};
const edit = async (...ids: readonly number[]): Promise<void> => {
  for (const id of ids) {
    await source.query(`update people set name = 'left ${id}' where id = ${id}`);
    await target.query(`update people set name = 'right ${id}' where id = ${id}`);
  }
};
const waiting = async (): Promise<readonly { id: string; key: { id: string } }[]> =>
  (await ask('GET', '/api/v1/conflicts?sync=eq.both&state=eq.pending')).body.data;

let syncs = 0;
const sync = async (): Promise<void> => {
  const done = await run({ kind: 'sync', sync: 'both' }, { 'idempotency-key': `sync-${++syncs}` });
  assert.equal(done.state, 'done', JSON.stringify(done.error));
};
await sync();
await edit(1, 2, 3, 4);
await target.query('delete from people where id = 5');
await source.query(`update people set name = 'left 5' where id = 5`);
await sync();

test('conflicts are listed by filter, and one is read with all that its sides show', async () => {
  const all = (await ask('GET', '/api/v1/conflicts')).body;
  assert.equal(all.data.length, 5);
  const ids = async (query: string): Promise<readonly string[]> =>
    (await ask('GET', `/api/v1/conflicts?${query}`)).body.data.map((c: { key: { id: string } }) => c.key.id);
  assert.deepEqual(await ids('type=eq.update_delete'), ['5']);
  assert.deepEqual((await ids('column=eq.name')).toSorted(), ['1', '2', '3', '4']);
  assert.deepEqual(await ids('pair=eq.public.people&key=3'), ['3']);
  assert.deepEqual(await ids('state=in.(ruled,gone)'), []);
  assert.deepEqual(codes(await ask('GET', '/api/v1/conflicts?key=3')), [400, 'PARAMETER']);
  const first = (await ask('GET', '/api/v1/conflicts?limit=3')).body;
  const rest = (await ask('GET', `/api/v1/conflicts?limit=3&cursor=${first.page.next_cursor}`)).body;
  assert.deepEqual([...first.data, ...rest.data], all.data);
  const one = all.data.find((c: { key: { id: string } }) => c.key.id === '1');
  const read = await ask('GET', `/api/v1/conflicts/${one.id}`);
  assert.deepEqual(read.body, one);
  assert.deepEqual(one.cells[1], { column: 'name', disputed: true, base: 'n1', source: 'left 1', target: 'right 1' });
  const tag = read.headers.get('etag')!;
  assert.equal((await ask('GET', `/api/v1/conflicts/${one.id}`, { headers: { 'if-none-match': tag } })).status, 304);
});

test('a row is explained with what was agreed, what waits, and what the next run would do', async () => {
  const path = '/api/v1/explain?sync=both&pair=people&key=2';
  const { two_way } = (await ask('GET', path)).body;
  assert.deepEqual(two_way.base.row, { id: '2', name: 'n2', born: '2000-01-01' });
  assert.deepEqual(
    two_way.conflicts.map((c: { state: string }) => c.state),
    ['pending'],
  );
  assert.deepEqual([two_way.next.kind, two_way.next.type, two_way.next.row], ['waits', 'update_update', null]);
  const quiet = (await ask('GET', '/api/v1/explain?sync=both&pair=people&key=9')).body.two_way;
  assert.deepEqual([quiet.conflicts, quiet.next.kind], [[], 'agreed']);
  const blind = await token('blind', { scopes: ['differences:read'] });
  const masked = (await ask('GET', path, { token: blind })).body.two_way;
  assert.deepEqual([masked.base.row, masked.conflicts, masked.next.reason], [null, [], null]);
  assert.equal((await ask('GET', '/api/v1/explain?sync=items&pair=items&key=1')).body.two_way, null);
});

test('who may not see values sees which columns, and who is bound to other syncs sees nothing', async () => {
  const viewer = await token('viewer', { role: 'viewer' });
  const { id } = (await waiting())[0]!;
  const masked = (await ask('GET', `/api/v1/conflicts/${id}`, { token: viewer })).body;
  assert.equal(masked.reason, '');
  assert.ok(masked.cells.every((c: object) => !('source' in c || 'target' in c || 'base' in c)));
  const list = (await ask('GET', '/api/v1/conflicts', { token: viewer })).body;
  assert.equal(list.values, 'masked');
  assert.ok(!JSON.stringify(list).includes('left 1'));
  const take = { headers: { 'if-match': '"1"' }, json: { take: 'source' } };
  assert.deepEqual(codes(await ask('POST', `/api/v1/conflicts/${id}/resolve`, { ...take, token: viewer })), [
    403,
    'FORBIDDEN',
  ]);
  const narrow = await token('narrow', { role: 'approver', syncs: ['items'] });
  assert.deepEqual((await ask('GET', '/api/v1/conflicts', { token: narrow })).body.data, []);
  assert.deepEqual((await ask('GET', '/api/v1/conflicts?sync=eq.both', { token: narrow })).body.data, []);
  assert.equal((await ask('GET', `/api/v1/conflicts/${id}`, { token: narrow })).status, 404);
  assert.equal((await ask('POST', `/api/v1/conflicts/${id}/resolve`, { ...take, token: narrow })).status, 404);
  const bulk = { token: narrow, json: { sync: 'both', take: 'source' } };
  assert.equal((await ask('POST', '/api/v1/conflicts/resolve', bulk)).status, 404);
});

test('a conflict is decided as it was seen, by one of two, and written at once', async () => {
  const { id } = (await waiting()).find((c) => c.key.id === '1')!;
  const path = `/api/v1/conflicts/${id}/resolve`;
  const tag = (await ask('GET', `/api/v1/conflicts/${id}`)).headers.get('etag')!;
  const right = { 'if-match': tag };
  assert.deepEqual(codes(await ask('POST', path, { json: { take: 'source' } })), [428, 'PRECONDITION_REQUIRED']);
  assert.deepEqual(codes(await ask('POST', path, { headers: { 'if-match': '"7"' }, json: { take: 'source' } })), [
    412,
    'PRECONDITION_FAILED',
  ]);
  const wrong = async (json: unknown): Promise<unknown> => codes(await ask('POST', path, { headers: right, json }));
  assert.deepEqual(await wrong({ take: 'both' }), [422, 'BODY']);
  assert.deepEqual(await wrong({ take: 'base', cells: { name: 'x' } }), [422, 'BODY']);
  assert.deepEqual(await wrong({ take: 'source', cells: { born: 'yesterday' } }), [422, 'USAGE']);
  assert.deepEqual(await wrong({ take: 'source', cells: { id: '77' } }), [422, 'USAGE']);
  assert.deepEqual(await wrong({ take: 'source', cells: { names: 'x' } }), [422, 'COLUMN_NOT_FOUND']);
  const two = await token('two', { role: 'approver' });
  const json = { take: 'target', cells: { name: 'by hand' }, why: 'asked' };
  const answers = await Promise.all([
    ask('POST', path, { headers: right, json }),
    ask('POST', path, { headers: right, json: { take: 'source' }, token: two }),
  ]);
  const [won, lost] = answers.toSorted((a, b) => a.status - b.status) as [Reply, Reply];
  assert.equal(won.status, 202);
  assert.ok(lost.status === 409 || lost.status === 412, String(lost.status));
  const mine = won === answers[0];
  assert.equal(won.body.conflict.state, 'decided');
  assert.equal(won.headers.get('location'), `/api/v1/runs/${won.body.run.id}`);
  const repeated = await ask(
    'POST',
    path,
    mine ? { headers: right, json } : { headers: right, json: { take: 'source' }, token: two },
  );
  assert.ok(
    repeated.status === 202 || repeated.body.code === 'CONFLICT_RESOLVED',
    'the same again, unless it was written by then',
  );
  await ended(won.body.run.id);
  const value = mine ? 'by hand' : 'left 1';
  assert.deepEqual(await shown(1), [value, value]);
  const now = (await ask('GET', `/api/v1/conflicts/${id}`)).body;
  assert.deepEqual(
    [now.state, now.closed_by, now.resolution.take],
    ['resolved', won.body.run.id, mine ? 'target' : 'source'],
  );
  assert.deepEqual(await shown(2), ['left 2', 'right 2'], 'nothing else was written');
  const late = await ask('POST', path, { headers: { 'if-match': `"${now.version}"` }, json: { take: 'base' } });
  assert.deepEqual(codes(late), [409, 'CONFLICT_RESOLVED']);
  assert.match(late.body.detail, /resolved c_\w+ as .* Your choice "base" was not applied/);
  const audit = (await ask('GET', `/api/v1/audit?object=eq.conflicts/${id}`)).body.data;
  assert.ok(
    audit.some((e: { action: string; outcome: string }) => e.action === 'conflict.resolve' && e.outcome === 'done'),
  );
  assert.ok(!JSON.stringify(audit).includes('by hand'), 'the audit names columns, not values');
});

test('what a person says of one row is no matter for the guard of deletes', async () => {
  const { id } = (await waiting()).find((c) => c.key.id === '5')!;
  const tag = (await ask('GET', `/api/v1/conflicts/${id}`)).headers.get('etag')!;
  const decided = await ask('POST', `/api/v1/conflicts/${id}/resolve`, {
    headers: { 'if-match': tag },
    json: { take: 'target' },
  });
  const done = await ended(decided.body.run.id);
  assert.equal(done.state, 'done', JSON.stringify(done.error));
  assert.deepEqual(await shown(5), [undefined, undefined]);
});

test('many are decided at once, after a look', async () => {
  const path = '/api/v1/conflicts/resolve';
  const json = { sync: 'both', column: 'name', take: 'target', why: 'the CRM knows' };
  const look = (await ask('POST', path, { json: { ...json, dry_run: true } })).body;
  assert.deepEqual(look, { matched: 3, deletes: 0, impossible: 0, decided: 0, dry_run: true, run: null });
  const other = await ask('POST', path, { json: { ...json, expect: 2 } });
  assert.deepEqual(codes(other), [409, 'CONFLICT']);
  assert.match(other.body.detail, /2 conflicts were expected, and 3 are meant now/);
  assert.equal((await waiting()).length, 3);
  const later = await ask('POST', path, { json: { ...json, expect: 3, write: false } });
  assert.deepEqual([later.status, later.body.decided, later.body.run], [200, 3, null]);
  assert.deepEqual(await shown(2), ['left 2', 'right 2']);
  await sync();
  assert.deepEqual(await shown(2), ['right 2', 'right 2']);
  assert.deepEqual((await ask('POST', path, { json })).body.matched, 0);
  const bad = await ask('POST', path, { json: { sync: 'items', take: 'target' } });
  assert.deepEqual(codes(bad), [409, 'CONFLICT']);
  const all = (await ask('GET', '/api/v1/conflicts?state=eq.resolved')).body.data;
  assert.equal(all.length, 5);
});

const bulk = '/api/v1/conflicts/resolve';

test('many that delete are held to the guards before any is decided, and are written once they are allowed', async () => {
  await source.query('delete from people where id in (6, 7)');
  await target.query(`update people set name = 'right' where id in (6, 7)`);
  await sync();
  const json = { sync: 'both', take: 'source' };
  const refused = await ask('POST', bulk, { json });
  assert.deepEqual(codes(refused), [409, 'GUARD']);
  assert.match(refused.body.detail, /Nothing was decided: 2 of 2 conflicts would delete the row, max_deletes is 0/);
  assert.match(refused.body.hint, /"allow_deletes": 2/);
  assert.deepEqual(codes(await ask('POST', bulk, { json: { ...json, allow_deletes: 1, write: false } })), [
    409,
    'GUARD',
  ]);
  assert.deepEqual(codes(await ask('POST', bulk, { json: { ...json, allow_deletes: 2, max_changes: 1 } })), [
    409,
    'GUARD',
  ]);
  const narrow = await token('decider', { scopes: ['conflicts:resolve'] });
  const replaced = await ask('POST', bulk, { json: { ...json, allow_deletes: 2 }, token: narrow });
  assert.deepEqual(codes(replaced), [403, 'FORBIDDEN']);
  assert.equal((await waiting()).length, 2);
  const later = await ask('POST', bulk, { json: { ...json, allow_deletes: 2, write: false } });
  assert.deepEqual([later.status, later.body.deletes, later.body.decided], [200, 2, 2]);
  await source.query(`insert into people values (50, 'must reach the other side', null)`);
  await sync();
  assert.deepEqual(
    [await shown(6), await shown(7)],
    [
      [undefined, undefined],
      [undefined, undefined],
    ],
  );
  assert.deepEqual(await shown(50), ['must reach the other side', 'must reach the other side']);
});

test('a decision is replaced by who has seen it and says so, until it is written', async () => {
  await edit(8);
  await sync();
  const { id } = (await waiting())[0]!;
  const path = `/api/v1/conflicts/${id}/resolve`;
  const decide = (tag: string, json: object) => ask('POST', path, { headers: { 'if-match': tag }, json });
  const first = await decide('"1"', { take: 'source', write: false });
  assert.equal(first.status, 200);
  const other = { take: 'target', write: false };
  assert.deepEqual(codes(await decide(first.headers.get('etag')!, other)), [409, 'CONFLICT_RESOLVED']);
  assert.deepEqual(codes(await decide('"1"', { ...other, replace: true })), [412, 'PRECONDITION_FAILED']);
  const anew = await decide(first.headers.get('etag')!, { ...other, replace: true });
  assert.deepEqual([anew.status, anew.body.conflict.resolution.take], [200, 'target']);
  await sync();
  assert.deepEqual(await shown(8), ['right 8', 'right 8']);
  const late = await decide(`"${(await ask('GET', `/api/v1/conflicts/${id}`)).body.version}"`, {
    take: 'source',
    replace: true,
  });
  assert.deepEqual(codes(late), [409, 'CONFLICT_RESOLVED']);
});

test('a run that nobody gave as a command names the command that allows it', async () => {
  await source.query('delete from people where id = 9');
  const failed = await run({ kind: 'sync', sync: 'both' }, { 'idempotency-key': 'stopped' });
  assert.deepEqual([failed.exit, failed.error.code], [22, 'GUARD']);
  assert.match(failed.error.hint, /allow it once: lockstep sync both --allow-deletes 1/);
  const one = await run({ kind: 'sync', sync: 'items', allow_deletes: 0 }, { 'idempotency-key': 'stopped-one' });
  assert.deepEqual([one.exit, one.error.code], [22, 'GUARD']);
  assert.match(one.error.hint, /allow it once: lockstep sync items --allow-deletes 1/);
});
