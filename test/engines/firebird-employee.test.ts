import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { parseConfig } from '../../src/engines/firebird/config.ts';
import { firebird } from '../../src/engines/firebird/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { compare } from '../../src/work/compare.ts';
import { type FirebirdDatabase, firebirdDatabase, isFirebirdMissing } from '../servers/firebird.ts';
import { firebirdBinaries } from '../servers/firebird-binaries.ts';

const signal = AbortSignal.timeout(120_000);

/** The sample database that comes with Firebird, made by Firebird's own tool. */
const employee = async (): Promise<FirebirdDatabase> => {
  const binaries = await firebirdBinaries();
  assert.ok(binaries.employee, 'the examples of Firebird are not at hand');
  const db = await firebirdDatabase();
  const { host, port, user, password, database } = parseConfig(db.url);
  const script = gunzipSync(readFileSync(binaries.employee))
    .toString('latin1')
    .replace("create database 'employee.fdb';", `connect '${host}/${port}:${database}';`);
  assert.ok(script.includes(database), 'the script makes a database of another name');
  const libraries = binaries.libraries.length === 0 ? {} : { LD_LIBRARY_PATH: binaries.libraries.join(':') };
  const isql = promisify(execFile)(binaries.isql, ['-quiet', '-bail', '-user', user, '-password', password!], {
    env: { ...process.env, ...libraries, FIREBIRD_MSG: binaries.home },
    maxBuffer: 1 << 26,
  });
  isql.child.stdin!.end(Buffer.from(script, 'latin1'));
  await isql;
  return db;
};

/** Damage of every sort, and what a comparison must say of it. */
const damage: readonly (readonly [sql: string, expected: string])[] = [
  ["insert into COUNTRY (COUNTRY, CURRENCY) values ('Atlantis', 'Drachma')", 'COUNTRY only_in_target Atlantis'],
  ["update CUSTOMER set PHONE_NO = PHONE_NO || ' ' where CUST_NO = 1001", 'CUSTOMER different 1001 PHONE_NO'],
  ['update CUSTOMER set ON_HOLD = null where CUST_NO = 1002', 'CUSTOMER different 1002 ON_HOLD'],
  ["update DEPARTMENT set BUDGET = BUDGET + 0.01 where DEPT_NO = '600'", 'DEPARTMENT different 600 BUDGET'],
  ["update PROJECT set PROJ_DESC = PROJ_DESC || '.' where PROJ_ID = 'GUIDE'", 'PROJECT different GUIDE PROJ_DESC'],
  [
    "delete from EMPLOYEE_PROJECT where EMP_NO = 144 and PROJ_ID = 'DGPII'",
    'EMPLOYEE_PROJECT only_in_source 144,DGPII',
  ],
  [
    "update SALES set SHIP_DATE = dateadd(1 millisecond to SHIP_DATE) where PO_NUMBER = 'V91E0210'",
    // AGED is computed from it.
    'SALES different V91E0210 SHIP_DATE,AGED',
  ],
  [
    "update PROJ_DEPT_BUDGET set PROJECTED_BUDGET = PROJECTED_BUDGET + 1 where FISCAL_YEAR = 1994 and PROJ_ID = 'GUIDE' and DEPT_NO = '100'",
    'PROJ_DEPT_BUDGET different 1994,GUIDE,100 PROJECTED_BUDGET',
  ],
];

const differences = async (source: Endpoint, target: Endpoint) => {
  const found: string[] = [];
  const report = await compare({
    source,
    target,
    settleMs: 0,
    clock: systemClock,
    seed: 7n,
    signal,
    sink: {
      wanted: () => Number.POSITIVE_INFINITY,
      write: async (pair, some) => {
        for (const d of some) {
          const columns = d.kind === 'different' ? ` ${d.columns.map((i) => pair.columns[i]!.source.name)}` : '';
          found.push(`${pair.source.name} ${d.kind} ${d.key.join(',')}${columns}`);
        }
      },
    },
  });
  return { report, found: found.sort() };
};

if (!isFirebirdMissing)
  test('two copies of the employee database differ exactly by the damage done to one', {
    skip: isFirebirdMissing,
  }, async () => {
    await using first = await employee();
    await using second = await employee();
    const open = (db: FirebirdDatabase): Promise<Endpoint> =>
      firebird.connect(firebird.parse(db.url), { name: 'employee', writable: false, signal });
    await using source = await open(first);
    await using target = await open(second);
    const same = await differences(source, target);
    // The change dates of salaries are those of the restore.
    assert.deepEqual(
      same.found.filter((f) => !f.startsWith('SALARY_HISTORY')),
      [],
    );
    assert.deepEqual(same.report.pairs.flatMap((p) => p.not_compared.map((n) => n.what)).sort(), [
      'JOB.LANGUAGE_REQ',
      'PROJ_DEPT_BUDGET.QUART_HEAD_CNT',
    ]);
    const names = same.report.pairs.map((p) => p.source);
    assert.ok(names.length >= 9 && names.includes('EMPLOYEE'), names.join(', '));
    await second.run(...damage.map(([sql]) => sql));
    const damaged = await differences(source, target);
    const known = new Set(same.found);
    assert.deepEqual(
      damaged.found.filter((f) => !known.has(f)),
      damage.map(([, expected]) => expected).sort(),
    );
  });
