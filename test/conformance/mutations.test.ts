import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFirebirdMissing } from '../servers/firebird.ts';
import { isMariadbMissing } from '../servers/mariadb.ts';
import { cases } from './engine.ts';
import { firebirdHarness } from './harnesses/firebird.ts';
import { httpHarness } from './harnesses/http.ts';
import { memoryHarness } from './harnesses/memory.ts';
import { mysqlHarness } from './harnesses/mysql.ts';
import { postgresHarness } from './harnesses/postgres.ts';
import { sqliteHarness } from './harnesses/sqlite.ts';
import { runCase } from './lab.ts';
import { readingMutations } from './mutations/reading.ts';
import { writingMutations } from './mutations/writing.ts';

/** The kit itself is tested: an engine that is broken on purpose must fail it, by an assertion and not by accident. */
const harnesses = [
  memoryHarness,
  sqliteHarness,
  ...(isMariadbMissing ? [] : [mysqlHarness]),
  ...(isFirebirdMissing ? [] : [firebirdHarness]),
  postgresHarness,
  httpHarness,
];

/** What an API is broken by: the ways in which its rows are kept and ordered. Its writes have tests of their own. */
const ofApis = new Set([
  'texts come in UTF-16 order',
  'a range holds its upper bound',
  'the last row of a batch is lost',
  'the filter is forgotten when keys are asked for',
  'large integers go through a double',
  'rows without a key are read as a set',
  'every call reads a snapshot of its own',
  'the digest keeps 32 bits',
]);

/**
 * The kit is the same for every engine: memory is broken in every way; SQLite, PostgreSQL, MariaDB and Firebird share the
 * ways among them, others each day, unless all are asked for.
 */
const every = process.env['LOCKSTEP_TEST_EVERY_MUTATION'] === '1';
const sharing = [sqliteHarness, postgresHarness, mysqlHarness, firebirdHarness].filter((h) => harnesses.includes(h));
const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const mutations = [...readingMutations, ...writingMutations];
/** Of those that can have this one, whose turn it is. */
const isTurnOf = (harness: (typeof harnesses)[number], nth: number): boolean => {
  if (every || !sharing.includes(harness)) return true;
  const { when } = mutations[nth]!;
  const able = sharing.filter((h) => when === undefined || when(h));
  return able[(nth + seed) % able.length] === harness;
};

for (const harness of harnesses) {
  for (const [nth, mutation] of mutations.entries()) {
    if (mutation.when && !mutation.when(harness)) continue;
    if (!isTurnOf(harness, nth)) continue;
    if (harness === httpHarness && !ofApis.has(mutation.name)) continue;
    test(`${harness.name}: the kit sees that ${mutation.name}`, async () => {
      const watching = cases.filter(
        (c) => mutation.caughtBy.test(c.name) && (!c.when || c.when(harness)) && !harness.cannot?.(c.name),
      );
      assert.ok(watching.length > 0, `no case is named ${mutation.caughtBy}`);
      const seen: unknown[] = [];
      for (const c of watching) {
        try {
          await runCase(c, harness, (e) => mutation.breakIt(e));
        } catch (error) {
          seen.push(error);
          if (error instanceof assert.AssertionError) return;
        }
      }
      assert.fail(seen.length === 0 ? 'the kit passes' : `only an accident: ${String(seen[0])}`);
    });
  }
}
