import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copy } from '../../src/work/copy.ts';
import type { Harness, KitTable } from '../conformance/harness.ts';
import { firebirdHarness } from '../conformance/harnesses/firebird.ts';
import { mysqlHarness } from '../conformance/harnesses/mysql.ts';
import { postgresHarness } from '../conformance/harnesses/postgres.ts';
import { sqliteHarness } from '../conformance/harnesses/sqlite.ts';
import { fitted, makeLab } from '../conformance/lab.ts';
import { keyTables, mixed, numbered } from '../conformance/tables.ts';
import { isFirebirdMissing } from '../servers/firebird.ts';
import { isMariadbMissing } from '../servers/mariadb.ts';
import { freshStore } from '../store/fresh-store.ts';
import { copyInput } from './support.ts';

const { store } = await freshStore();

const engines: readonly Harness[] = [
  sqliteHarness,
  postgresHarness,
  ...(isMariadbMissing ? [] : [mysqlHarness]),
  ...(isFirebirdMissing ? [] : [firebirdHarness]),
];

/** Rows of a key by the table's own name, some of them; and a table cut into several steps. */
const kits: readonly KitTable[] = [
  mixed,
  keyTables[0]!.kit,
  numbered('many', 500),
  { ...numbered('none', 0), rows: [] },
];

for (const source of engines)
  for (const target of engines)
    test(`${source.name} to ${target.name}: every kind of value arrives, in steps, and the schema with it`, async () => {
      await using lab = makeLab(source);
      await using other = makeLab(target);
      const held = kits.map((kit) => fitted(target, fitted(source, kit)));
      const from = await lab.open(await lab.database(...held));
      const to = await other.open(await other.database(), { writable: true });
      const { certificate, exit } = await copy(copyInput(store, from, to, { stepRows: 150 }));
      assert.deepEqual(certificate?.refused, []);
      assert.deepEqual(certificate.schema.differences, []);
      assert.equal(certificate.verdict, 'certified', JSON.stringify(certificate.coverage));
      assert.equal(exit, 0);
      assert.deepEqual(certificate.tables.map((t) => t.identical).sort(), held.map((kit) => kit.rows.length).sort());
      // what it made is what it would make, and has rows now
      await assert.rejects(copy(copyInput(store, from, to)), { code: 'GUARD', message: /has rows already/ });
      const many = certificate.tables.find((t) => /many$/i.test(t.source));
      assert.ok(many!.loaded.steps > 2, `${many!.loaded.steps} steps`);
    });
