import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outsideRow } from './row-filter.ts';

test('conditions that look at their row alone', () => {
  for (const filter of [
    `status <> 'draft'`,
    `"order" = 'it''s new' or amount > 5.00 and not archived`,
    `lower(country) in ('de', 'at') and coalesce(deleted, false) = false`,
    `created_at >= '2024-01-01'::date and name like 'A%'`,
    'a is null and (b between 1 and 2)',
    '`key` = 1 and length(trim(name)) > 0',
    `extract(year from born) < 2000`,
    `case when kind = 'x' then total else 0 end > 10`,
  ])
    assert.equal(outsideRow(filter), undefined, filter);
});

test('conditions that may let a row in which nobody wrote', () => {
  for (const filter of [
    'created_at > now() - interval 1 day',
    `created_at > 'today'::date`,
    `created_at > date('now', '-1 day')`,
    'created_at > current_timestamp',
    'created_at > CURRENT_DATE',
    'due < utc_date',
    'due < sysdate',
    'due < localtimestamp',
    'id in (select order_id from open_orders)',
    'exists (values (1))',
    'is_visible(id)',
    'app.is_visible(id)',
    'rdb$get_context(1) = 2',
    'owner = session_user',
    'owner = user',
    'random() < 0.5',
    'rand() < 0.5',
    'a = 1 -- and more',
    'a = 1 /* more */',
    'a = $$x$$',
    `a = 'x\\' or b = now() or c = '`,
    '@last < id',
    'unix_timestamp() > x',
    'age(created_at) < x',
  ])
    assert.notEqual(outsideRow(filter), undefined, filter);
});
