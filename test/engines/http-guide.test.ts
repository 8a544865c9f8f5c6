import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { storeDatabase } from '../servers/postgres.ts';
import { startVendorApi } from '../servers/vendor-api.ts';
import { licences } from '../servers/vendor-licences.ts';

/** The configuration that the page shows, against a vendor's API, as somebody who has read only that page would use it. */

const page = readFileSync(join(import.meta.dirname, '../../docs/engines/http.md'), 'utf8');
const [yaml] = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((m) => m[1]!);

test('the configuration of the page is checked, compared, synchronised and proven', async () => {
  const token = 'vendor-token-of-the-page';
  await using control = await storeDatabase();
  await using api = await startVendorApi({ resources: { licences: licences(90) }, login: { bearer: token } });
  const home = mkdtempSync(join(tmpdir(), 'lockstep-api-'));
  try {
    const shown = yaml!.replace('https://api.vendor.example/v2', api.url);
    writeFileSync(join(home, 'lockstep.yaml'), shown);
    const ours = new DatabaseSync(join(home, 'ours.db'));
    ours.exec(
      'create table licences (id integer primary key, reference text, customer text, seats integer, price decimal(10, 2), features json, updated_at timestamptz)',
    );
    const env = { VENDOR_TOKEN: token, OURS_URL: 'sqlite:ours.db', LOCKSTEP_CONTROL_URL: control.url };
    const run = async (...args: readonly string[]) => {
      const done = await inProcess([...args, '--no-input'], { cwd: home, env });
      assert.ok(!(done.stdout + done.stderr).includes(token), 'the token appears in the output');
      return done;
    };
    const refused = await run('diff', 'licences');
    assert.equal(refused.code, 20, refused.stderr);
    assert.match(refused.stderr, /an address of this machine.*allow_private: true/s);
    writeFileSync(join(home, 'lockstep.yaml'), shown.replace('    http:\n', '    http:\n      allow_private: true\n'));

    const checked = await run('check');
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
    assert.match(checked.stdout, /licences: a single item shows what the list shows/);
    assert.match(checked.stdout, /no column reads account, tier, status, expires_at: not compared/);

    const synced = await run('sync', 'licences', '--yes', '--max-changes', '90', '--settle', '0', '--format', 'json');
    assert.equal(synced.code, 0, synced.stderr);
    const report = JSON.parse(synced.stdout) as { applied: { insert: number }; verified: number; verdict: string };
    assert.deepEqual([report.applied.insert, report.verified, report.verdict], [90, 90, 'agrees']);

    ours.exec('update licences set seats = 99 where id = 7; delete from licences where id = 9');
    const found = await run('diff', 'licences', '--settle', '0', '--format', 'json');
    assert.equal(found.code, 2, found.stderr);
    const { differences } = JSON.parse(found.stdout) as { differences: { key: { id: string }; kind: string }[] };
    assert.deepEqual(
      differences.map((d) => `${d.key.id} ${d.kind}`),
      ['7 different', '9 only_in_source'],
    );

    api.distort = (body, a) => (a.path.includes('cursor=40') ? { ...body, meta: { ...body.meta, next: null } } : body);
    const cut = await run(
      'sync',
      'licences',
      '--yes',
      '--allow-deletes',
      '100',
      '--max-changes',
      '100',
      '--settle',
      '0',
    );
    assert.equal(cut.code, 25, cut.stdout + cut.stderr);
    assert.match(cut.stderr, /80 of 90 announced items were read\. The list is incomplete/);
    assert.equal(ours.prepare('select count(*) as n from licences').get()!['n'], 89);
    api.distort = undefined;

    writeFileSync(
      join(home, 'changed.yaml'),
      shown
        .replace('    http:\n', '    http:\n      allow_private: true\n')
        .replace('    target: ours\n', '    target: ours\n    incremental: { by: updated_at, deletes: none }\n'),
    );
    const changes = ['diff', 'licences', '--config', 'changed.yaml', '--settle', '0', '--explain', '--limit', '0'];
    assert.equal((await run(...changes)).code, 2);
    api.edit('licences', (items) =>
      items.map((i, n) => (n === 19 ? { ...i, seats: null, updated_at: '2026-01-01T00:00:00Z' } : i)),
    );
    const asked = api.asked.length;
    const again = await run(...changes);
    assert.equal(again.code, 2, again.stderr);
    assert.match(again.stdout, /licences +1 +2 +1 +0/, 'the changed row, and the two that were open');
    const lists = api.asked.slice(asked).filter((a) => a.method === 'GET' && !/licences\/\d/.test(a.path));
    assert.ok(lists.length > 0 && lists.every((a) => a.path.includes('updated_at=')), 'the whole list was read');

    writeFileSync(join(home, 'copy.db'), '');
    const copied = await run('copy', 'vendor', 'sqlite:copy.db', '--yes');
    assert.equal(copied.code, 0, copied.stdout + copied.stderr);
    assert.match(copied.stdout, /licences: 90 rows, 90 identical/);

    api.fault = (a) => (a.headers.authorization === `Bearer ${token}` ? { status: 401 } : undefined);
    const doctor = await run('check');
    assert.equal(doctor.code, 21, doctor.stdout);
    assert.match(doctor.stdout, /answered 401 Unauthorized/);
    ours.close();
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
