import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunRequest } from '../../src/model/service.ts';
import { project } from './project.ts';

const p = await project(`  move:
    source: source
    target: target
    mode: migrate
    settle: 0
    pairs:
      - source: people
        target: persons
        columns: { born: { to: born_at, type: timestamptz, from: epoch_s } }
  look:
    source: source
    target: target
    mode: compare
`);
const { source, target } = p;

interface Report {
  readonly verdict: string;
  readonly phase?: string;
  readonly applied: unknown;
  readonly certificate?: { readonly verdict: string };
  readonly tables?: readonly { readonly table: string; readonly rows: number }[];
}

const ran = async (request: RunRequest): Promise<{ readonly exit: number | null; readonly report: Report }> => {
  const { id } = await p.request(request);
  const { exit, report, sync } = await p.ends(id);
  assert.equal(sync, 'move');
  return { exit, report: report as unknown as Report };
};

test('workers assess and carry out a migration: a copy first, then what was written meanwhile', async () => {
  await source.query(
    'create table people (id int primary key, born bigint); insert into people select i, 1700000000 + i from generate_series(1, 30) i',
  );
  const worker = p.start('worker');
  const seen = await ran({ kind: 'assess', source: 'source', target: 'target', sync: 'move' });
  assert.deepEqual([seen.exit, seen.report.tables!.map((t) => [t.table, t.rows])], [0, [['public.people', 30]]]);
  const first = await ran({ kind: 'sync', sync: 'move' });
  assert.deepEqual(
    [first.exit, first.report.phase, first.report.verdict, first.report.certificate!.verdict],
    [0, 'copy', 'agrees', 'certified'],
  );
  await source.query('insert into people values (31, 1800000000)');
  const second = await ran({ kind: 'sync', sync: 'move' });
  assert.deepEqual([second.exit, second.report.phase], [0, undefined]);
  assert.deepEqual(second.report.applied, { insert: 1, update: 0, delete: 0 });
  await target.query('drop table persons');
  const copied = await ran({ kind: 'copy', source: 'source', target: 'target', sync: 'move' });
  assert.deepEqual([copied.exit, copied.report.verdict], [0, 'certified']);
  const { rows } = await target.query(
    `select count(*)::int as n, extract(epoch from max(born_at))::int as last from persons`,
  );
  assert.deepEqual(rows, [{ n: 31, last: 1800000000 }]);
  worker.child.kill('SIGTERM');
  await worker.ended;
});
