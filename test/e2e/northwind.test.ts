import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { testDatabase } from '../servers/postgres.ts';
import { lockstep } from './lockstep.ts';

const sql = readFileSync(join(dirname(import.meta.filename), '../data/northwind/northwind.postgres.sql'), 'utf8');

/** Twenty kinds of damage: the statement, and the differences it must show as `table key kind [column source target]`. */
const damages: readonly (readonly [string, readonly string[]])[] = [
  // A value, a sign, the last digit of a float, a rounding.
  [
    "update orders set ship_city = 'Reims ' where order_id = 10248",
    ['orders 10248 different ship_city "Reims" "Reims "'],
  ],
  ['update orders set freight = -freight where order_id = 10249', ['orders 10249 different freight "11.61" "-11.61"']],
  [
    'update order_details set unit_price = 14.000001 where order_id = 10248 and product_id = 11',
    ['order_details 10248/11 different unit_price "14" "14.000001"'],
  ],
  ['update products set unit_price = 22.35 where product_id = 4', ['products 4 different unit_price "22" "22.35"']],
  // NULL against empty, NULL that moved to the next column, empty against NULL.
  ["update suppliers set region = '' where supplier_id = 1", ['suppliers 1 different region null ""']],
  [
    "update customers set fax = null, phone = fax where customer_id = 'ALFKI'",
    ['customers ALFKI different phone "030-0074321" "030-0076545"; fax "030-0076545" null'],
  ],
  [
    "update customers set region = fax, fax = region where customer_id = 'ANATR'",
    ['customers ANATR different region null "(5) 555-3745"; fax "(5) 555-3745" null'],
  ],
  // Letters: case, accent composed differently, a 4-byte character, a zero-width space.
  [
    "update customers set city = 'london' where customer_id = 'AROUT'",
    ['customers AROUT different city "London" "london"'],
  ],
  [
    "update customers set city = 'Lulea\u030a' where customer_id = 'BERGS'",
    ['customers BERGS different city "Luleå" "Lulea\u030a"'],
  ],
  [
    "update customers set contact_name = contact_name || '\u{1f600}' where customer_id = 'BLAUS'",
    ['customers BLAUS different contact_name "Hanna Moos" "Hanna Moos\u{1f600}"'],
  ],
  [
    "update customers set contact_title = contact_title || '\u200b' where customer_id = 'BLONP'",
    ['customers BLONP different contact_title "Marketing Manager" "Marketing Manager\u200b"'],
  ],
  // Two rows that exchange a value; one up and one down, so that sums stay.
  [
    'update order_details set quantity = case product_id when 14 then 40 else 9 end where order_id = 10249',
    ['order_details 10249/14 different quantity "9" "40"', 'order_details 10249/51 different quantity "40" "9"'],
  ],
  [
    'update products set units_in_stock = units_in_stock + case product_id when 1 then 1 else -1 end where product_id in (1, 2)',
    ['products 1 different units_in_stock "39" "40"', 'products 2 different units_in_stock "17" "16"'],
  ],
  // Dates: a day, a month and day exchanged.
  [
    'update orders set order_date = order_date + 1 where order_id = 10250',
    ['orders 10250 different order_date "1996-07-08" "1996-07-09"'],
  ],
  [
    "update employees set hire_date = '1992-01-05' where employee_id = 1",
    ['employees 1 different hire_date "1992-05-01" "1992-01-05"'],
  ],
  // Bytes.
  ["update categories set picture = '\\x00' where category_id = 1", ['categories 1 different picture "" "00"']],
  // Missing, extra, renumbered.
  [
    'delete from customer_customer_demo; delete from order_details where order_id = 11077 and product_id = 2',
    ['order_details 11077/2 only_in_source'],
  ],
  ["insert into shippers values (99, 'Ghost', null)", ['shippers 99 only_in_target']],
  [
    'update us_states set state_id = 1000 where state_id = 51',
    ['us_states 51 only_in_source', 'us_states 1000 only_in_target'],
  ],
  ["insert into territories values ('00000', 'Nowhere', 1)", ['territories 00000 only_in_target']],
];

interface JsonDifference {
  readonly pair: string;
  readonly key: Readonly<Record<string, string>>;
  readonly kind: string;
  readonly cells: readonly {
    readonly column: string;
    readonly source?: string | null;
    readonly target?: string | null;
  }[];
}

const spell = (d: JsonDifference): string => {
  const at = `${d.pair.replace('public.', '')} ${Object.values(d.key).join('/')} ${d.kind}`;
  if (d.kind !== 'different') return at;
  return `${at} ${d.cells.map((c) => `${c.column} ${JSON.stringify(c.source)} ${JSON.stringify(c.target)}`).join('; ')}`;
};

test('Northwind: twenty kinds of damage are found exactly, planned, applied, and then the two agree', async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  await source.query(sql);
  await target.query(sql);
  const home = mkdtempSync(join(tmpdir(), 'lockstep-nw-'));
  try {
    const same = await lockstep(['diff', source.url, target.url, '--format', 'json', '--settle', '0s'], { cwd: home });
    assert.equal(same.code, 0, same.stderr + same.stdout);
    assert.equal(JSON.parse(same.stdout).verdict, 'agrees');

    for (const [statement] of damages) await target.query(statement);
    const expected = damages.flatMap(([, differences]) => differences).sort();
    const found = await lockstep(
      ['diff', source.url, target.url, '--format', 'json', '--limit', 'all', '--settle', '0s'],
      { cwd: home },
    );
    assert.equal(found.code, 2, found.stderr);
    const report = JSON.parse(found.stdout);
    const spelled = (report.differences as JsonDifference[]).map(spell).sort();
    assert.deepEqual(spelled, expected);

    const agree = await lockstep(
      [
        'sync',
        source.url,
        target.url,
        '--mode',
        'mirror',
        '--allow-deletes',
        '10',
        '--max-changes',
        '100',
        '--yes',
        '--format',
        'json',
        '--settle',
        '0s',
      ],
      { cwd: home },
    );
    assert.equal(agree.code, 0, agree.stderr + agree.stdout);
    const after = await lockstep(['diff', source.url, target.url, '--format', 'json', '--settle', '0s'], { cwd: home });
    assert.equal(after.code, 0, after.stderr + after.stdout);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
