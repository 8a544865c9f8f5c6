import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { firebird } from '../../src/engines/firebird/index.ts';
import { mysql } from '../../src/engines/mysql/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { compare } from '../../src/work/compare.ts';
import { firebirdDatabase, isFirebirdMissing } from '../servers/firebird.ts';
import { isMariadbMissing, mariadbDatabase } from '../servers/mariadb.ts';
import { openSide, type Side } from './sides.ts';

const { signal } = new AbortController();
const rows = Array.from({ length: 400 }, (_, i) => [`'Käufer ${i}'`, String(i % 7), `'v${i}'`]);
const insert = rows.map((row) => `insert into people (name, part, v) values (${row.join(', ')})`);

let postgres: Side;
/** Both sides show the same share of equal tables: what one side took and the other did not would be a difference. */
const showsTheSame = async (target: Endpoint): Promise<void> => {
  const report = await compare({
    source: postgres.endpoint,
    target,
    pairs: [{ source: 'people', sample: 0.2 }],
    settleMs: 0,
    clock: systemClock,
    seed: 7n,
    signal,
    sink: { wanted: () => 10, write: async () => {} },
  });
  const { identical, different, only_in_source, only_in_target } = report.pairs[0]!;
  assert.deepEqual([different, only_in_source, only_in_target], [0, 0, 0]);
  assert.ok(identical > 45 && identical < 120, String(identical));
};

before(async () => {
  postgres = await openSide('postgres', 'pg');
  await postgres.run('create table people (name varchar(40), part int, v text, primary key (name, part))');
  await postgres.run(insert.join(';'));
});
after(() => postgres[Symbol.asyncDispose]());

if (!isFirebirdMissing)
  test('Firebird shows the same sample as PostgreSQL', async () => {
    await using db = await firebirdDatabase();
    await db.run(
      'create table people (name varchar(40) not null, part int not null, v varchar(20), primary key (name, part))',
    );
    await db.run(...insert);
    await using target = await firebird.connect(firebird.parse(db.url), { name: 'fb', writable: false, signal });
    await showsTheSame(target);
  });

if (!isMariadbMissing)
  test('MariaDB shows the same sample as PostgreSQL', async () => {
    await using db = await mariadbDatabase();
    await db.query('create table people (name varchar(40), part int, v varchar(20), primary key (name, part))');
    await db.query(insert.join(';'));
    await using target = await mysql.connect(mysql.parse(db.url), { name: 'maria', writable: false, signal });
    await showsTheSame(target);
  });
