import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DatabaseName } from '../acceptance/databases.ts';
import { isMariadbMissing } from '../servers/mariadb.ts';
import { type Project, project } from './project.ts';

const directions: readonly (readonly [DatabaseName, DatabaseName])[] = [
  ['postgres', 'postgres'],
  ['sqlite', 'postgres'],
  ...(isMariadbMissing ? [] : ([['postgres', 'mysql']] as const)),
];

const identity: Readonly<Record<DatabaseName, string>> = {
  postgres: 'bigint generated always as identity primary key',
  sqlite: 'integer primary key autoincrement',
  mysql: 'bigint auto_increment primary key',
};

const pairs = `
- source: subscription
  target: account
  key: { id: external_id }
  columns:
    status: { to: state, map: { past_due: dunning } }
    price: { expr: "cents / 100" }
    owner: { expr: 'first + " " + last' }
    note: { default: "-" }
  validate:
    status: { in: [active, trialing, past_due, canceled] }
`;

/** What is told of quarantined rows, and what happens when one is mended. */
const story = async (p: Project): Promise<void> => {
  const listed = await p.json('quarantine', 'list', 's');
  assert.deepEqual(
    listed.json.rows.map((r: { key: { id: string }; attempts: number }) => [r.key.id, r.attempts]),
    [
      ['3', 3],
      ['5', 3],
    ],
  );
  assert.match(listed.json.rows[0].reasons[0], /status is 'wierd', none of active/);
  assert.equal(listed.json.rows[0].row.cents, '100');
  const explained = await p.json('explain', 's/subscription', '3');
  assert.deepEqual(explained.json.quarantined, listed.json.rows[0].reasons);
  assert.equal(explained.json.stored.status, 'wierd');
  const mapped = await p.json('explain', 's/subscription', '2');
  assert.deepEqual([mapped.json.stored.status, mapped.json.source.status], ['past_due', 'dunning'], 'raw and made');
  assert.ok(mapped.json.one_way.some((c: { column: string }) => c.column === 'price'));

  await p.source.run(`update subscription set status = 'trialing' where id = 3`);
  const retried = await p.json('quarantine', 'retry', 's');
  assert.deepEqual(
    [retried.code, retried.json],
    [25, { schema_version: 1, still_invalid: 1, valid: 1, gone: 0 }],
    retried.stderr,
  );
};

for (const [from, to] of directions) {
  test(`rows matched by an external id, transformed and validated: ${from} to ${to}`, async () => {
    await using p = await project(from, to);
    await p.source.run(
      `create table subscription (id bigint primary key, status varchar(20), cents bigint not null, first varchar(20) not null, last varchar(20) not null, note varchar(20));`,
    );
    await p.source.run(`insert into subscription values
        (1, 'active', 1999, 'Ann', 'Lee', 'n'), (2, 'past_due', 500, 'Bob', 'Ray', null),
        (3, 'wierd', 100, 'Cy', 'Day', 'x'), (4, null, 9007199254740993, 'Di', 'Fox', 'y'), (5, 'oops', 1, 'Ed', 'Gil', 'z')`);
    await p.target.run(
      `create table account (id ${identity[to]}, external_id bigint not null unique, state varchar(20), price decimal(20,2), owner varchar(60), note varchar(20))`,
    );
    await p.target.run(`insert into account (external_id, state, price, owner, note) values
        (3, 'kept', 7, 'kept', 'kept'), (2, 'active', 5, 'Bob Ray', '-'), (77, 'gone', 1, 'g', 'g')`);
    p.pairs(pairs);
    const rows = () => p.target.rows('select external_id, state, price, owner, note, id from account order by 1');
    const before = await rows();

    const diff = await p.json('diff', 's');
    assert.equal(diff.code, 2, diff.stderr);
    const [pair] = diff.json.pairs;
    assert.deepEqual(
      [pair.identical, pair.different, pair.only_in_source, pair.only_in_target, pair.quarantined],
      [0, 1, 2, 1, 2],
    );
    assert.deepEqual(pair.rows, { source: 5, target: 3 });
    assert.deepEqual(pair.apart, { source: 2, target: 1 });
    assert.equal(diff.json.coverage.complete, false);
    assert.match(diff.json.coverage.not_compared[0].reason, /2 rows are quarantined/);
    const changed = diff.json.differences.find((d: { kind: string }) => d.kind === 'different');
    assert.deepEqual(changed.cells, [{ column: 'status', source: 'dunning', target: 'active' }]);

    const synced = await p.json('sync', 's', '--yes');
    assert.equal(synced.code, 25, `what is quarantined is never plain agreement: ${synced.stderr}`);
    assert.deepEqual(synced.json.applied, { insert: 2, update: 1, delete: 1 });
    assert.equal(synced.json.quarantined, 2);
    assert.equal(synced.json.verdict, 'incomplete');
    assert.equal(synced.json.verified, 4);
    const texts = (await rows()).map((row) => row.slice(0, 5).map((cell) => (cell === null ? null : String(cell))));
    assert.deepEqual(
      texts.map((row) => [row[0], row[1], String(row[2]).replace(/\.?0+$/, ''), row[3], row[4]]),
      [
        ['1', 'active', '19.99', 'Ann Lee', 'n'],
        ['2', 'dunning', '5', 'Bob Ray', '-'],
        ['3', 'kept', '7', 'kept', 'kept'],
        ['4', null, '90071992547409.93', 'Di Fox', 'y'],
      ],
    );
    const ids = (await rows()).map((row) => String(row[5]));
    assert.equal(new Set(ids).size, 4, 'the target gave the new rows keys of its own');
    assert.deepEqual(
      ids.slice(1, 3),
      before.slice(0, 2).map((row) => String(row[5])),
    );

    const again = await p.json('sync', 's', '--yes');
    assert.equal(again.code, 25);
    assert.deepEqual(
      again.json.planned,
      { insert: 0, update: 0, delete: 0, withheld: 0 },
      'a second run finds nothing',
    );

    if (to === 'postgres' && from === 'postgres') await story(p);
    else await p.source.run(`update subscription set status = 'trialing' where id = 3`);

    await p.source.run(`update subscription set status = 'canceled' where id = 5`);
    const last = await p.json('sync', 's', '--yes');
    assert.equal(last.code, 0, last.stderr);
    assert.deepEqual(last.json.applied, { insert: 1, update: 1, delete: 0 });
    assert.equal((await p.json('quarantine', 'list')).json.total, 0, 'what is valid is let go');

    const after = await rows();
    for (const run of [last.json.run, synced.json.run]) {
      const undone = await p.run('revert', run, '--yes', '--allow-deletes', '10');
      assert.equal(undone.code, 0, undone.stderr + undone.stdout);
    }
    assert.notDeepEqual(await rows(), after);
    assert.deepEqual(await rows(), before, 'undone, with the keys that the target had given');
  });
}
