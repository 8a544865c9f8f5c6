import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { sqlite } from '../../src/engines/sqlite/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Difference } from '../../src/model/change.ts';
import { compare } from '../../src/work/compare.ts';
import { number, startVendorApi, type VendorItem } from '../servers/vendor-api.ts';
import { openApi, signal } from './http-support.ts';

/** The Northwind shop behind an API whose columns nobody declared, against its SQLite file: first the same, then damaged. */

const script = readFileSync(join(import.meta.dirname, '../data/northwind/northwind.sqlite.sql'), 'utf8');
const tables: Readonly<Record<string, readonly string[]>> = {
  Customers: ['CustomerID'],
  Orders: ['OrderID'],
  'Order Details': ['OrderID', 'ProductID'],
  Products: ['ProductID'],
  Categories: ['CategoryID'],
};

const itemsOf = (db: DatabaseSync, table: string): VendorItem[] => {
  const read = db.prepare(`select * from "${table}"`);
  read.setReadBigInts(true);
  return (read.all() as Record<string, unknown>[]).map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [
        name,
        value === null
          ? null
          : typeof value === 'bigint' || typeof value === 'number'
            ? number(String(value))
            : value instanceof Uint8Array
              ? Buffer.from(value).toString('base64')
              : String(value),
      ]),
    ),
  );
};

const address = (name: string): string => `/${encodeURIComponent(name)}`;

test('an API of real data agrees with the file it was made of, and exactly the planted damage is found', async () => {
  const home = mkdtempSync(join(tmpdir(), 'lockstep-northwind-api-'));
  const file = join(home, 'northwind.db');
  const db = new DatabaseSync(file);
  try {
    db.exec('pragma foreign_keys = off; pragma synchronous = off; pragma journal_mode = memory');
    db.exec(script);
    const resources = Object.fromEntries(
      Object.entries(tables).map(([name, key]) => [name, { key, items: itemsOf(db, name), pageSize: 500 }]),
    );
    await using api = await startVendorApi({ resources });
    const declared = Object.fromEntries(
      Object.entries(tables).map(([name, key]) => [
        name,
        {
          list: { path: address(name), items: '/data', page: { by: 'cursor', next: '/meta/next', param: 'cursor' } },
          read: `${address(name)}${key.map((k) => `/{${k}}`).join('')}`,
          key,
          ...(name === 'Categories'
            ? { columns: { CategoryID: 'int', CategoryName: 'text', Description: 'text', Picture: 'base64' } }
            : {}),
        },
      ]),
    );
    await using vendor = openApi(api, { http: { resources: declared }, clock: systemClock });
    await using ours = await sqlite.connect(sqlite.parse(`sqlite:${file}`), { name: 'ours', writable: false, signal });
    const look = async () => {
      const differences: string[] = [];
      const report = await compare({
        source: vendor,
        target: ours,
        pairs: Object.keys(tables).map((source) => ({ source })),
        settleMs: 0,
        clock: systemClock,
        seed: 99n,
        signal,
        sink: {
          wanted: () => Number.POSITIVE_INFINITY,
          write: async (pair, some: readonly Difference[]) => {
            for (const d of some)
              differences.push(
                `${pair.name} ${d.key.join('/')} ${d.kind}${d.kind === 'different' ? ` ${d.columns.map((i) => pair.columns[i]!.source.name).join()}` : ''}`,
              );
          },
        },
      });
      return { report, differences: differences.sort() };
    };
    const first = await look();
    assert.deepEqual(first.differences, []);
    assert.equal(first.report.verdict, 'agrees');
    assert.ok(first.report.pairs.reduce((n, p) => n + p.identical, 0) > 3000);

    const change = (table: string, at: number, members: (item: VendorItem) => VendorItem): void =>
      api.edit(table, (items) => items.map((item, i) => (i === at ? { ...item, ...members(item) } : item)));
    change('Customers', 0, () => ({ Region: '' }));
    change('Customers', 1, (c) => ({ City: `${c['City'] as string} ` }));
    change('Orders', 5, (o) => ({ Freight: number(`${(o['Freight'] as { rawJSON: string }).rawJSON}01`) }));
    change('Orders', 6, () => ({ ShippedDate: '1996-07-15T00:00:01' }));
    change('Order Details', 9, () => ({ Discount: number('0.1500000000000000001') }));
    change('Categories', 2, () => ({ Picture: '' }));
    api.edit('Products', (items) => items.filter((_, i) => i !== 76));
    api.edit('Orders', (items) => [...items, { ...items[0]!, OrderID: number(99_999) }]);
    const id = (table: string, at: number): string =>
      tables[table]!.map(
        (k) => (resources[table]!.items[at]![k] as { rawJSON: string }).rawJSON ?? resources[table]!.items[at]![k],
      ).join('/');
    const second = await look();
    assert.deepEqual(second.differences, [
      `Categories ${id('Categories', 2)} different Picture`,
      `Customers ${id('Customers', 0)} different Region`,
      `Customers ${id('Customers', 1)} different City`,
      `Order Details ${id('Order Details', 9)} different Discount`,
      `Orders ${id('Orders', 5)} different Freight`,
      `Orders ${id('Orders', 6)} different ShippedDate`,
      'Orders 99999 only_in_source',
      `Products ${id('Products', 76)} only_in_target`,
    ]);
  } finally {
    db.close();
    rmSync(home, { recursive: true, force: true });
  }
});
