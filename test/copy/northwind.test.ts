import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { compare } from '../../src/work/compare.ts';
import { firebirdDatabase, isFirebirdMissing } from '../servers/firebird.ts';
import { isMariadbMissing, mariadbDatabase } from '../servers/mariadb.ts';
import { testDatabase } from '../servers/postgres.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copied, open, signal, sqliteFile } from './support.ts';

const { store } = await freshStore();
const sql = readFileSync(join(dirname(import.meta.filename), '../data/northwind/northwind.sqlite.sql'), 'utf8');

if (!isMariadbMissing && !isFirebirdMissing)
  test('Northwind goes from SQLite to PostgreSQL, to MariaDB, to Firebird and back: each step is certified, the ends agree', async () => {
    const first = sqliteFile(sql);
    const last = sqliteFile();
    await using postgres = await testDatabase();
    await using maria = await mariadbDatabase();
    await using firebird = await firebirdDatabase();
    const way = [first.url, postgres.url, maria.url, firebird.url, last.url];
    for (let i = 1; i < way.length; i++) {
      const { certificate, exit } = await copied(store, way[i - 1]!, way[i]!);
      assert.equal(certificate.verdict, 'certified', JSON.stringify([certificate.refused, certificate.schema]));
      assert.equal(exit, 0);
      assert.equal(certificate.tables.length, 13);
      assert.equal(
        certificate.tables.reduce((n, t) => n + t.identical, 0),
        3310,
      );
      // keys and foreign keys went along
      await using target = await open(way[i]!, 'target', false);
      const { tables } = await target.inspect({ signal });
      assert.equal(tables.filter((t) => t.uniques.some((u) => u.primary)).length, 13);
      assert.equal(
        tables.reduce((n, t) => n + t.foreignKeys.length, 0),
        13,
      );
    }
    await using source = await open(first.url, 'first', false);
    await using target = await open(last.url, 'last', false);
    const report = await compare({
      source,
      target,
      excludeTables: (await source.inspect({ signal })).tables.filter((t) => t.kind === 'view').map((t) => t.name),
      settleMs: 0,
      clock: systemClock,
      seed: 3n,
      signal,
      sink: { wanted: () => 0, write: async () => {} },
    });
    assert.equal(report.verdict, 'agrees');
    assert.equal(
      report.pairs.reduce((n, p) => n + p.identical, 0),
      3310,
    );
  });
