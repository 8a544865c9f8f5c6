import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeUrl } from './connect.ts';
import { urlPerHost } from './hosts.ts';

test('a control store is described without its password, however that is written', () => {
  for (const [url, shown] of [
    ['postgres://me:secret@db:5432/ops', 'postgres://me@db:5432/ops'],
    ['postgres://me:sec@ret@db/ops?sslmode=require', 'postgres://me@db/ops'],
    ['postgresql://me:s,e:c?r#et@a:5432,b:5433/ops', 'postgresql://me@a:5432,b:5433/ops'],
    ['postgres://me@[::1]:5432/ops', 'postgres://me@[::1]:5432/ops'],
    ['postgres://me:se/cret@db/ops', 'the given URL'],
    ['postgres://me:12/34@db/ops', 'the given URL'],
    ['postgres://me:12?34@db/ops', 'postgres://me@db/ops'],
    ['nonsense', 'the given URL'],
  ] as const) {
    assert.equal(describeUrl(url), shown);
    assert.ok(!/secret|sec@|cret|34/.test(describeUrl(url).replace(':5434', '')), url);
  }
});

test('several hosts are one URL each, and who asks for a standby is refused', () => {
  assert.deepEqual(urlPerHost('postgres://me:pw@a:1,b/ops?sslmode=require&target_session_attrs=read-write'), [
    'postgres://me:pw@a:1/ops?sslmode=require',
    'postgres://me:pw@b/ops?sslmode=require',
  ]);
  assert.deepEqual(urlPerHost('postgres://me:p,w@a/ops'), ['postgres://me:p,w@a/ops']);
  assert.deepEqual(urlPerHost('postgres://a,b/ops?target_session_attrs=any'), ['postgres://a/ops', 'postgres://b/ops']);
  assert.throws(() => urlPerHost('postgres://a,b/ops?target_session_attrs=standby'), { code: 'CONFIG' });
});
