import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowWay } from '../../src/copy/rows.ts';
import { postgres } from '../../src/engines/postgres/index.ts';
import type { Row } from '../../src/model/row.ts';
import type { Table } from '../../src/model/schema.ts';
import { database } from '../acceptance/databases.ts';

/**
 * What SQLite hands to PostgreSQL as CSV, nobody of us looks at. So each odd value goes both ways: what is loaded as CSV must be
 * what is loaded cell by cell, and what would be refused cell by cell must never arrive as CSV.
 */

const types = {
  bigint: 'bigint',
  'integer i4': 'integer',
  smallint: 'smallint',
  boolean: 'boolean',
  'decimal(12,2)': 'numeric(12,2)',
  numeric: 'numeric',
  real: 'double precision',
  text: 'text',
  'varchar(5)': 'varchar(5)',
  uuid: 'uuid',
  date: 'date',
  timestamp: 'timestamp',
  datetime: 'timestamp(6)',
  blob: 'bytea',
};

const uuid = '123e4567-e89b-12d3-a456-426614174000';
const values: readonly string[] = [
  'null',
  '0',
  '1',
  '-1',
  '2',
  '32767',
  '32768',
  '2147483648',
  '9223372036854775807',
  '-9223372036854775808',
  '9007199254740993',
  '0.5',
  '1.0',
  '-0.0',
  '0.1',
  '19.9',
  '19.99',
  '1.005',
  '2.675',
  '0.30000000000000004',
  '1370000.0/3',
  '123456789.125',
  '12345678901.23',
  '1e14',
  '1e15',
  '1.5e16',
  '1e22',
  '1e300',
  '5e-324',
  '9e999',
  '-9e999',
  '99999999.99',
  '9999999999.99',
  '99999999999.99',
  `''`,
  `' '`,
  `'a'`,
  `'a,b'`,
  `'"'`,
  `'""'`,
  `'a"b'`,
  `'\\'`,
  `'\\.'`,
  `'\\N'`,
  `'abcde'`,
  `'abcde '`,
  `'abcdef'`,
  `'NULL'`,
  `'true'`,
  `'t'`,
  `'1'`,
  `'1.50'`,
  `' 1'`,
  `'NaN'`,
  `'a' || char(10) || 'b'`,
  `'a' || char(13) || char(10)`,
  `'\\.' || char(10)`,
  `char(9)`,
  `char(0)`,
  `'a' || char(0) || 'b'`,
  `char(31)`,
  `char(128512)`,
  `'é'`,
  `cast(x'ff' as text)`,
  `cast(x'61c3' as text)`,
  `'2024-02-29'`,
  `'2023-02-29'`,
  `'2024-1-5'`,
  `'0000-01-01'`,
  `'0001-01-01'`,
  `'9999-12-31'`,
  `'20240105'`,
  `'2024-01-05 '`,
  `'today'`,
  `'infinity'`,
  `'2024-01-05 BC'`,
  `'2024-01-05 10:11:12'`,
  `'2024-01-05T10:11:12'`,
  `'2024-01-05 10:11:12.5'`,
  `'2024-01-05 10:11:12.123456'`,
  `'2024-01-05 10:11:12.1234567'`,
  `'2024-01-05 10:11:12.'`,
  `'2024-01-05 24:00:00'`,
  `'2024-01-05 23:59:60'`,
  `'2024-01-05 10:11'`,
  `'2024-01-05 10:11:12Z'`,
  `'2024-01-05 10:11:12+02'`,
  `'2024-01-05 10:11:12.5+02'`,
  `'9999-12-31 23:59:59.999999'`,
  `'2024-13-05 10:11:12'`,
  `'${uuid}'`,
  `'${uuid.toUpperCase()}'`,
  `'{${uuid}}'`,
  `'${uuid.replaceAll('-', '')}'`,
  `'${uuid.slice(0, -1)}g'`,
  `x''`,
  `x'00ff'`,
  `cast('2024-01-05' as blob)`,
  `cast('${uuid}' as blob)`,
  `cast('1' as blob)`,
  `x'${'5c'.repeat(40)}'`,
];

test('what goes as CSV arrives as it would cell by cell', async () => {
  const { signal } = new AbortController();
  await using source = await database('sqlite');
  await using target = await database('postgres');
  const names = Object.keys(types);
  for (const [n, [type, native]] of Object.entries(types).entries()) {
    await source.run(`create table t${n} (id integer primary key, v ${type});
      insert into t${n} values ${values.map((v, i) => `(${i}, ${v})`).join(', ')}`);
    for (const way of ['csv', 'cells']) await target.run(`create table ${way}${n} (id bigint, v ${native})`);
  }
  await using from = await source.connect('from');
  await using to = await postgres.connect(postgres.parse(target.url), { name: 'to', writable: true, signal });
  const loader = to.loader!;
  const [sources, targets] = [(await from.inspect({ signal })).tables, (await to.inspect({ signal })).tables];
  const named = (tables: readonly Table[], name: string): Table => tables.find((t) => t.name === name)!;
  await using reader = await from.snapshot({ signal });
  const o = { signal, beforeCommit: async () => {} };
  let step = 0;
  const mark = () => ({ run: 'r_csv', step: ++step, token: 0n });
  await to.writer!.prepare({ signal });
  for (const [n, type] of names.entries()) {
    const table = named(sources, `t${n}`);
    const [csv, cells] = [named(targets, `csv${n}`), named(targets, `cells${n}`)];
    const way = rowWay(table, csv, ['id'], false);
    const [form] = await reader.bulk!.forms(way.selection, { signal });
    assert.ok((await loader.bytes!.forms(csv, way.columns, { signal })).includes(form!), `${type}: ${form}`);

    const rows = (await Array.fromAsync(reader.scan(way.selection, { kind: 'all' }, { signal }))).flat();
    const made = rows.map(way.turn).filter((row): row is Row => !('reason' in row));
    const batches = (async function* () {
      yield made;
    })();
    await loader.load(mark(), cells, way.columns, batches, { ...o, refused: () => {} });

    for (const row of rows) {
      const segment = { kind: 'range' as const, from: [row[0]!], to: [String(Number(row[0]) + 1) as never] };
      const bytes = reader.bulk!.read(way.selection, segment, form!, { signal });
      await loader.bytes!.load(mark(), csv, way.columns, { form: form!, bytes }, { ...o, refused: () => {} });
    }
    const arrived = async (t: string) =>
      new Map((await target.rows(`select id::text, v::text from ${t}${n} order by id`)).map(([k, v]) => [k, v]));
    const [quick, slow] = [await arrived('csv'), await arrived('cells')];
    for (const [id, value] of quick) {
      const what = `${type}: ${values[Number(id)]}`;
      assert.ok(slow.has(id), `${what} is refused cell by cell, and arrived as ${value}`);
      assert.equal(value, slow.get(id), what);
    }
    assert.ok(quick.size >= 3, `${type}: only ${quick.size} values went as CSV`);
    assert.ok(quick.has('0') && quick.get('0') === null, `${type}: NULL`);
  }
});
