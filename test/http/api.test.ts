import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Reply, served } from './served.ts';

const { ask, run, token, lines, timings, ended, url } = await served();

const codes = ({ status, body }: Reply): readonly unknown[] => [status, body?.code];
const key = (value: string) => ({ 'idempotency-key': value });

test('a correlation id goes from the request into the answer, the run, the log and the audit', async () => {
  const headers = { 'x-request-id': 'my-question.1' };
  const reply = await ask('POST', '/api/v1/runs', { json: { kind: 'diff', sync: 'look' }, headers });
  assert.equal(reply.headers.get('x-request-id'), 'my-question.1');
  assert.equal((await ended(reply.body.id)).correlation, 'my-question.1');
  assert.ok(lines.some((line) => line.includes('"correlation":"my-question.1"') && line.includes('"POST"')));
  const audit = await ask('GET', '/api/v1/audit?correlation=eq.my-question.1');
  assert.deepEqual(
    audit.body.data.map((e: { action: string; outcome: string }) => [e.action, e.outcome]),
    [
      ['run.diff', 'done'],
      ['run.diff', 'intended'],
    ],
  );
  const made = await ask('GET', '/api/v1/version', { headers: { 'x-request-id': 'bad id, "quoted"' } });
  assert.match(made.headers.get('x-request-id')!, /^c_\w+$/);
  assert.ok(timings.routes().some(({ route }) => route === '/api/v1/runs'));
});

test('every failure is a problem with a code, a hint where there is one, and the correlation', async () => {
  type Case = readonly [string, string, Parameters<typeof ask>[2], number, string];
  const cases: readonly Case[] = [
    ['GET', '/api/v1/nothing', {}, 404, 'ROUTE_NOT_FOUND'],
    ['GET', '/api/v1/runs/r_nothing', {}, 404, 'NOT_FOUND'],
    ['GET', '/api/v1/runs/%00', {}, 404, 'NOT_FOUND'],
    ['GET', '/api/v1/plans/p_nothing', {}, 404, 'NOT_FOUND'],
    ['GET', '/api/v1/syncs/toString', {}, 404, 'NOT_FOUND'],
    ['GET', '/api/v1/endpoints/__proto__', {}, 404, 'NOT_FOUND'],
    ['GET', '/api/v1/changes/r_x.1.1', {}, 404, 'NOT_FOUND'],
    ['PUT', '/api/v1/runs', {}, 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/api/v1/runs', { headers: { accept: 'text/csv' } }, 406, 'NOT_ACCEPTABLE'],
    ['GET', '/api/v1/runs?colour=red', {}, 400, 'PARAMETER'],
    ['GET', '/api/v1/runs?state=running', {}, 400, 'PARAMETER'],
    ['GET', '/api/v1/runs?state=eq.walking', {}, 400, 'PARAMETER'],
    ['GET', '/api/v1/runs?limit=201', {}, 400, 'PARAMETER'],
    ['GET', '/api/v1/runs?started=gte.2026-02-31x', {}, 400, 'PARAMETER'],
    ['GET', '/api/v1/runs?cursor=abc', {}, 400, 'CURSOR'],
    ['GET', '/api/v1/changes', {}, 400, 'PARAMETER'],
    ['POST', '/api/v1/runs', { body: '{', headers: { 'content-type': 'application/json' } }, 400, 'MALFORMED'],
    ['POST', '/api/v1/runs', { body: 'a=1', headers: { 'content-type': 'text/plain' } }, 415, 'MEDIA_TYPE'],
    ['POST', '/api/v1/runs', { json: { kind: 'diff', sync: 'x'.repeat(1_100_000) } }, 413, 'TOO_LARGE'],
    ['POST', '/api/v1/runs', { json: { kind: 'diff', sync: 'look', extra: 1 } }, 422, 'BODY'],
    ['POST', '/api/v1/runs', { json: { kind: 'apply', plan: 'p_1' } }, 422, 'BODY'],
    ['POST', '/api/v1/runs', { json: { kind: 'diff', sync: 'lok' } }, 422, 'BODY'],
    ['POST', '/api/v1/runs', { json: { kind: 'sync', sync: 'items' } }, 400, 'IDEMPOTENCY_KEY_REQUIRED'],
    ['POST', '/api/v1/runs', { json: { kind: 'sync', sync: 'look' }, headers: key('k') }, 422, 'BODY'],
    [
      'POST',
      '/api/v1/runs',
      { json: { kind: 'copy', source: 'right', target: 'left' }, headers: key('k') },
      422,
      'BODY',
    ],
    ...[
      { kind: 'copy' },
      { kind: 'copy', sync: 'lok' },
      { kind: 'copy', sync: 'look' },
      { kind: 'assess', sync: 'look', source: 'right' },
    ].map((json): Case => ['POST', '/api/v1/runs', { json, headers: key('k') }, 422, 'BODY']),
    ['GET', '/api/v1/runs', { token: null }, 401, 'UNAUTHENTICATED'],
    ['GET', '/api/v1/syncs/look/differences', {}, 409, 'CONFLICT'],
  ];
  for (const [method, path, question, status, code] of cases) {
    const reply = await ask(method, path, question);
    assert.deepEqual(codes(reply), [status, code], `${method} ${path}: ${reply.text.slice(0, 500)}`);
    assert.match(reply.headers.get('content-type')!, /^application\/problem\+json/);
    assert.equal(reply.body.correlation, reply.headers.get('x-request-id'));
    assert.equal(reply.body.status, status);
  }
  const wrong = await ask('POST', '/api/v1/runs', { json: { kind: 'diff', sync: 'lok' } });
  assert.equal(wrong.body.hint, 'Did you mean look?');
  assert.deepEqual(wrong.body.errors, [{ pointer: '/sync', detail: 'there is no sync `lok` in the configuration' }]);
  assert.equal((await ask('PUT', '/api/v1/runs')).headers.get('allow'), 'GET, HEAD, POST');
});

test('what is no HTTP is answered with a problem, too', async () => {
  const { connect } = await import('node:net');
  const { port } = new URL(url);
  const said = await new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), '127.0.0.1', () => socket.write('this is not HTTP\r\n\r\n'));
    socket.on('data', (data) => {
      text += String(data);
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
  assert.match(said, /^HTTP\/1\.1 400 /);
  assert.equal(JSON.parse(said.slice(said.indexOf('\r\n\r\n') + 4)).code, 'MALFORMED');
});

test('a comparison is asked for, found, shown in pages and exported, and its current state is served', async () => {
  const made = await run({ kind: 'diff', sync: 'items' });
  assert.deepEqual([made.state, made.verdict, made.trigger], ['done', 'differs', 'api']);
  assert.deepEqual(
    made.phases.map((p: { name: string }) => p.name),
    ['collect', 'detect', 'resolve', 'apply', 'record'].filter((name) =>
      made.phases.some((p: { name: string }) => p.name === name),
    ),
  );
  const path = `/api/v1/runs/${made.id}/differences`;
  const whole = (await ask('GET', path)).body;
  assert.equal(whole.data.length, 4);
  assert.equal(whole.values, 'shown');
  assert.deepEqual(
    whole.data.find((d: { kind: string }) => d.kind === 'different'),
    {
      seq: 1,
      pair: 'public.items',
      kind: 'different',
      key: { id: '2' },
      cells: [{ column: 'status', source: 'active', target: 'inactive' }],
    },
  );
  // One by one, each exactly once, by the links.
  const seen: unknown[] = [];
  let next: string | undefined = `${path}?limit=1`;
  while (next !== undefined) {
    const page: Reply = await ask('GET', next);
    seen.push(...page.body.data);
    next = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
    assert.equal(page.body.page.has_more, next !== undefined);
  }
  assert.deepEqual(seen, whole.data);
  const missing = await ask('GET', `${path}?kind=in.(only_in_target,different)&column=eq.status`);
  assert.equal(missing.body.data.length, 1);
  const lines = (await ask('GET', path, { headers: { accept: 'application/x-ndjson' } })).text.trim().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    whole.data,
  );
  const csv = (await ask('GET', path, { headers: { accept: 'text/csv' } })).text.split('\r\n');
  assert.equal(csv[0], 'pair,key,kind,column,source,target');
  assert.ok(csv.includes(`public.items,"{""id"":""3""}",only_in_source,name,'=1+1,`), csv.join('\n'));
  const now = async (query: string) => (await ask('GET', `/api/v1/syncs/items/differences${query}`)).body;
  assert.deepEqual(
    (await now('?change=deleted')).data.map((d: { key: object; change: string }) => [d.key, d.change]),
    [[{ id: '9' }, 'deleted']],
  );
  const state = await now('?limit=3');
  assert.equal(state.as_of.run, made.id);
  const rest = await now(`?limit=3&cursor=${state.page.next_cursor}`);
  assert.equal(state.data.length + rest.data.length, 4);
  const other = await ask('GET', `/api/v1/syncs/items/differences?change=new&cursor=${state.page.next_cursor}`);
  assert.deepEqual(codes(other), [400, 'CURSOR']);
});

test('a single resource has a strong ETag, and who has it already gets 304', async () => {
  const { id } = (await ask('GET', '/api/v1/runs?limit=1')).body.data[0];
  const first = await ask('GET', `/api/v1/runs/${id}`);
  const tag = first.headers.get('etag')!;
  assert.match(tag, /^"[0-9a-f]{32}"$/);
  const again = await ask('GET', `/api/v1/runs/${id}`, { headers: { 'if-none-match': `"x", ${tag}` } });
  assert.deepEqual([again.status, again.text, again.headers.get('etag')], [304, '', tag]);
  assert.equal((await ask('GET', `/api/v1/runs/${id}`, { headers: { 'if-none-match': '"x"' } })).status, 200);
});

test('who may not read values is shown which rows and columns, and no value', async () => {
  const blind = await token('blind', { scopes: ['runs:read', 'differences:read'] });
  const { id } = (await ask('GET', '/api/v1/runs?sync=eq.items&kind=eq.diff')).body.data[0];
  for (const path of [
    `/api/v1/runs/${id}/differences`,
    '/api/v1/syncs/items/differences',
    '/api/v1/history?sync=items&key=2',
  ]) {
    const reply = await ask('GET', path, { token: blind });
    assert.equal(reply.body.values, 'masked', reply.text);
    assert.ok(reply.body.data.length > 0);
    for (const { cells } of reply.body.data) for (const cell of cells) assert.deepEqual(Object.keys(cell), ['column']);
  }
  const csv = await ask('GET', `/api/v1/runs/${id}/differences`, { token: blind, headers: { accept: 'text/csv' } });
  assert.doesNotMatch(csv.text, /inactive|zo/);
  const explained = await ask('GET', '/api/v1/explain?sync=items&key=2', { token: blind });
  assert.deepEqual(
    [explained.body.state, explained.body.source, explained.body.different],
    ['differs', null, ['status']],
  );
});

test('a token of one sync sees nothing of others, and is told that they are not there', async () => {
  const narrow = await token('narrow', { role: 'operator', syncs: ['items'] });
  const look = (await ask('GET', '/api/v1/runs?sync=eq.look')).body.data[0].id;
  const get = async (path: string) => (await ask('GET', path, { token: narrow })).body;
  assert.deepEqual(
    (await get('/api/v1/syncs')).data.map((s: { name: string }) => s.name),
    ['items'],
  );
  const runs = (await get('/api/v1/runs')).data;
  assert.ok(runs.length > 0 && runs.every((r: { sync: string }) => r.sync === 'items'));
  assert.deepEqual((await get('/api/v1/runs?sync=eq.look')).data, []);
  for (const path of [
    `runs/${look}`,
    `runs/${look}/differences`,
    'syncs/look',
    'syncs/look/status',
    'history?sync=look&key=1',
  ])
    assert.equal((await get(`/api/v1/${path}`)).code, 'NOT_FOUND', path);
  assert.deepEqual(codes(await ask('POST', `/api/v1/runs/${look}/cancel`, { token: narrow })), [404, 'NOT_FOUND']);
  const start = (json: unknown) => ask('POST', '/api/v1/runs', { token: narrow, json });
  assert.deepEqual(codes(await start({ kind: 'diff', sync: 'look' })), [422, 'BODY']);
  assert.deepEqual(codes(await start({ kind: 'assess', source: 'left' })), [422, 'BODY']);
  assert.deepEqual((await get('/api/v1/me')).only, { syncs: ['items'], records: [] });
});

test('a row is explained, and its history is told', async () => {
  const explained = (await ask('GET', '/api/v1/explain?sync=items&pair=items&key=2')).body;
  assert.deepEqual([explained.state, explained.different, explained.source.status], ['differs', ['status'], 'active']);
  assert.equal(explained.history[0].what, 'compared');
  const missing = (await ask('GET', '/api/v1/explain?sync=items&key=77')).body;
  assert.equal(missing.state, 'absent');
  const odd = await ask('GET', '/api/v1/explain?sync=items&key=two');
  assert.deepEqual(codes(odd), [422, 'USAGE']);
  const wrong = await ask('GET', '/api/v1/explain?sync=items&key=1&key=2');
  assert.deepEqual(codes(wrong), [422, 'USAGE']);
});

test('quarantined rows are listed, looked at again and dropped', async () => {
  await run({ kind: 'diff', sync: 'strict' });
  const list = async (query = '') => (await ask('GET', `/api/v1/quarantine${query}`)).body.data;
  const [row] = await list('?sync=eq.strict');
  assert.deepEqual([row.pair, row.key, row.row.price], ['public.items', { id: '4' }, null]);
  assert.equal(row.reasons.length, 1);
  const retry = await ask('POST', '/api/v1/quarantine/retry', { json: { sync: 'strict' } });
  assert.deepEqual(retry.body, { valid: 0, still_invalid: 1, gone: 0 });
  assert.deepEqual(codes(await ask('POST', '/api/v1/quarantine/drop', { json: { sync: 'strict', keys: [['4']] } })), [
    422,
    'BODY',
  ]);
  const drop = { sync: 'strict', pair: 'public.items', keys: [['4']] };
  assert.deepEqual((await ask('POST', '/api/v1/quarantine/drop', { json: drop })).body, { dropped: 1 });
  assert.deepEqual(await list(), []);
});

test('the audit log is listed and verified', async () => {
  const head = (await ask('GET', '/api/v1/audit/head')).body;
  const verdict = (await ask('POST', '/api/v1/audit/verify', { json: { checkpoints: [head] } })).body;
  assert.deepEqual([verdict.checkpoints, verdict.problems], [1, []]);
  const some = (await ask('GET', '/api/v1/audit?limit=2&action=eq.quarantine.drop')).body;
  assert.deepEqual(
    some.data.map((e: { object: string; outcome: string }) => [e.object, e.outcome]),
    [
      ['syncs/strict', 'done'],
      ['syncs/strict', 'intended'],
    ],
  );
});

test('the doctor looks at one sync or at everything, and says what to do', async () => {
  const all = (await ask('POST', '/api/v1/check', { json: {} })).body;
  assert.equal(all.ok, true, JSON.stringify(all));
  for (const [about, code] of [
    ['config', 'config'],
    ['left', 'connected'],
    ['right', 'connected'],
    ['items', 'key'],
  ])
    assert.ok(
      all.findings.some((f: { about: string; code: string }) => f.about === about && f.code === code),
      about,
    );
  const one = (await ask('POST', '/api/v1/check', { json: { sync: 'look' } })).body;
  assert.ok(one.findings.length > 0 && one.findings.length < all.findings.length);
  assert.deepEqual(codes(await ask('POST', '/api/v1/check', { json: { sync: 'none' } })), [404, 'NOT_FOUND']);
  assert.doesNotMatch(JSON.stringify(all), /tester:/);
});
