import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { parseConfig } from '../../src/engines/firebird/config.ts';
import { inProcess } from '../cli/in-process.ts';
import { type FirebirdDatabase, firebirdDatabase, isFirebirdMissing } from '../servers/firebird.ts';
import { type FirebirdBinaries, firebirdBinaries } from '../servers/firebird-binaries.ts';
import { storeDatabase } from '../servers/postgres.ts';

/** One of Firebird's own tools; `input` goes to its stdin. */
const tool = async (
  binaries: FirebirdBinaries,
  name: 'isql' | 'gbak',
  args: readonly string[],
  input?: Buffer,
): Promise<void> => {
  const libraries = binaries.libraries.length === 0 ? {} : { LD_LIBRARY_PATH: binaries.libraries.join(':') };
  const running = promisify(execFile)(binaries[name], [...args], {
    env: { ...process.env, ...libraries, FIREBIRD_MSG: binaries.home },
    maxBuffer: 1 << 26,
  });
  running.child.stdin!.end(input ?? '');
  await running;
};

const placeOf = (db: FirebirdDatabase) => {
  const { host, port, user, password, database } = parseConfig(db.url);
  return { name: `${host}/${port}:${database}`, login: ['-user', user, '-password', password!] };
};

/** The sample database that comes with Firebird, made by its script. */
const makeEmployee = async (binaries: FirebirdBinaries, db: FirebirdDatabase): Promise<void> => {
  const { name, login } = placeOf(db);
  const script = gunzipSync(readFileSync(binaries.employee!))
    .toString('latin1')
    .replace("create database 'employee.fdb';", `connect '${name}';`);
  assert.ok(script.includes(name), 'the script makes a database of another name');
  await tool(binaries, 'isql', ['-quiet', '-bail', ...login], Buffer.from(script, 'latin1'));
};

/** Restores a backup of `from` into `to`. */
const restore = async (binaries: FirebirdBinaries, from: FirebirdDatabase, to: FirebirdDatabase, dir: string) => {
  const backup = join(dir, 'employee.fbk');
  await tool(binaries, 'gbak', ['-b', ...placeOf(from).login, placeOf(from).name, backup]);
  await tool(binaries, 'gbak', ['-rep', ...placeOf(to).login, backup, placeOf(to).name]);
};

/** Damage of every sort, and what a comparison must say of it. */
const damage: readonly (readonly [sql: string, expected: string])[] = [
  // rows that only the copy has
  ["insert into COUNTRY (COUNTRY, CURRENCY) values ('Atlantis', 'Drachma')", 'COUNTRY deleted Atlantis'],
  ["insert into PROJECT (PROJ_ID, PROJ_NAME, PRODUCT) values ('ZEBRA', 'Zebra', 'N/A')", 'PROJECT deleted ZEBRA'],
  ["insert into EMPLOYEE_PROJECT (EMP_NO, PROJ_ID) values (2, 'GUIDE')", 'EMPLOYEE_PROJECT deleted 2,GUIDE'],
  ["insert into CUSTOMER (CUST_NO, CUSTOMER, COUNTRY) values (9001, '', 'USA')", 'CUSTOMER deleted 9001'],
  // rows that it lost
  ["delete from EMPLOYEE_PROJECT where EMP_NO = 144 and PROJ_ID = 'DGPII'", 'EMPLOYEE_PROJECT new 144,DGPII'],
  ["delete from SALES where PO_NUMBER = 'V93H0030'", 'SALES new V93H0030'],
  [
    "delete from SALARY_HISTORY where EMP_NO = 5 and UPDATER_ID = 'admin2'",
    'SALARY_HISTORY new 5,1992-12-15 00:00:00,admin2',
  ],
  // cells: a blank at the end, NULL, a cent, a text BLOB, a tick of time, upper case, empty for NULL, the last bit
  ["update CUSTOMER set PHONE_NO = PHONE_NO || ' ' where CUST_NO = 1001", 'CUSTOMER modified 1001 PHONE_NO'],
  ['update CUSTOMER set ON_HOLD = null where CUST_NO = 1002', 'CUSTOMER modified 1002 ON_HOLD'],
  ["update DEPARTMENT set BUDGET = BUDGET + 0.01 where DEPT_NO = '600'", 'DEPARTMENT modified 600 BUDGET'],
  ["update DEPARTMENT set LOCATION = '' where DEPT_NO = '000'", 'DEPARTMENT modified 000 LOCATION'],
  ["update PROJECT set PROJ_DESC = PROJ_DESC || '.' where PROJ_ID = 'GUIDE'", 'PROJECT modified GUIDE PROJ_DESC'],
  ["update JOB set JOB_REQUIREMENT = null where JOB_CODE = 'CEO'", 'JOB modified CEO,1,USA JOB_REQUIREMENT'],
  [
    "update JOB set MAX_SALARY = MAX_SALARY + 0.01 where JOB_CODE = 'VP' and JOB_GRADE = 2 and JOB_COUNTRY = 'USA'",
    'JOB modified VP,2,USA MAX_SALARY',
  ],
  ["update COUNTRY set CURRENCY = upper(CURRENCY) where COUNTRY = 'Japan'", 'COUNTRY modified Japan CURRENCY'],
  ["update EMPLOYEE set PHONE_EXT = '' where EMP_NO = 2", 'EMPLOYEE modified 2 PHONE_EXT'],
  // FULL_NAME and AGED are computed.
  ["update EMPLOYEE set LAST_NAME = 'Jung' where EMP_NO = 4", 'EMPLOYEE modified 4 FULL_NAME,LAST_NAME'],
  [
    "update SALES set SHIP_DATE = dateadd(1 millisecond to SHIP_DATE) where PO_NUMBER = 'V91E0210'",
    'SALES modified V91E0210 AGED,SHIP_DATE',
  ],
  ["update SALES set DISCOUNT = 0.10000001 where PO_NUMBER = 'V93J3100'", 'SALES modified V93J3100 DISCOUNT'],
  [
    "update PROJ_DEPT_BUDGET set PROJECTED_BUDGET = null where FISCAL_YEAR = 1994 and PROJ_ID = 'GUIDE' and DEPT_NO = '100'",
    'PROJ_DEPT_BUDGET modified 1994,GUIDE,100 PROJECTED_BUDGET',
  ],
];

const config = `
version: 1
endpoints:
  head: { url: "\${env:HEAD_URL}" }
  branch: { url: "\${env:BRANCH_URL}" }
syncs:
  employees:
    source: head
    target: branch
    mode: compare
    settle: 0s
    differences: { sql: true }
    pairs:
      - COUNTRY
      - CUSTOMER
      - DEPARTMENT
      - EMPLOYEE
      - EMPLOYEE_PROJECT
      - { source: JOB, exclude: [LANGUAGE_REQ] }
      - PROJECT
      - { source: PROJ_DEPT_BUDGET, exclude: [QUART_HEAD_CNT] }
      - SALARY_HISTORY
      - SALES
`;

const changes = { only_in_source: 'new', different: 'modified', only_in_target: 'deleted' } as const;

type Placed = { readonly pair: string; readonly key: object };

interface JsonDifference {
  readonly pair: string;
  readonly kind: keyof typeof changes;
  readonly key: Readonly<Record<string, string>>;
  readonly cells: readonly {
    readonly column: string;
    readonly source?: string | null;
    readonly target?: string | null;
  }[];
}

if (!isFirebirdMissing)
  test('two copies of the employee database differ exactly by the damage done to one, told by the command line and by SQL', async () => {
    const binaries = await firebirdBinaries();
    assert.ok(binaries.employee, 'the examples of Firebird are not at hand');
    await using control = await storeDatabase();
    await using head = await firebirdDatabase();
    await using branch = await firebirdDatabase();
    const dir = mkdtempSync(join(tmpdir(), 'lockstep-employee-'));
    try {
      await makeEmployee(binaries, head);
      await restore(binaries, head, branch, dir);
      writeFileSync(join(dir, 'lockstep.yaml'), config);
      const env = { HEAD_URL: head.url, BRANCH_URL: branch.url, LOCKSTEP_CONTROL_URL: control.url };
      const diff = async (...args: string[]) => {
        const { code, stdout, stderr } = await inProcess(['diff', ...args, '--format', 'json'], { cwd: dir, env });
        assert.ok(code === 0 || code === 2 || code === 25, stderr);
        return { code, report: JSON.parse(stdout) };
      };

      // Arrays cannot be compared, which is said.
      const plain = await diff('${env:HEAD_URL}', '${env:BRANCH_URL}', '--settle', '0');
      assert.equal(plain.code, 25);
      assert.deepEqual(plain.report.coverage.not_compared.map((n: { what: string }) => n.what).sort(), [
        'JOB.LANGUAGE_REQ',
        'PROJ_DEPT_BUDGET.QUART_HEAD_CNT',
      ]);
      assert.deepEqual(plain.report.differences, []);
      assert.equal((await diff('employees')).code, 0);

      await branch.run(...damage.map(([sql]) => sql));
      const { code, report } = await diff('employees');
      assert.equal(code, 2);
      const found = report.differences as readonly JsonDifference[];
      const told = found.map(({ pair, kind, key, cells }) => {
        const columns = kind === 'different' ? ` ${cells.map((c) => c.column).sort()}` : '';
        return `${pair} ${changes[kind]} ${Object.values(key).join(',')}${columns}`;
      });
      const expected = damage.map(([, line]) => line).sort();
      assert.equal(expected.length, 20);
      assert.deepEqual(told.sort(), expected);

      const { rows } = await control.query(
        `select pair, kind, change, key, cells from lockstep_control.differences where sync = 'employees' and run = $1`,
        [report.run],
      );
      const cellsOf = ({ cells }: JsonDifference) =>
        Object.fromEntries(cells.map(({ column, ...sides }) => [column, sides]));
      const order = (a: Placed, b: Placed): number => {
        const [x, y] = [a, b].map(({ pair, key }) => `${pair} ${Object.entries(key).sort()}`) as [string, string];
        return x < y ? -1 : 1;
      };
      assert.deepEqual(
        rows.map(({ pair, kind, key, cells }) => ({ pair, kind, key, cells })).sort(order),
        found.map((d) => ({ pair: d.pair, kind: d.kind, key: d.key, cells: cellsOf(d) })).sort(order),
      );
      for (const r of rows) assert.equal(r.change, changes[r.kind as JsonDifference['kind']]);
      const { rows: cells } = await control.query(
        `select cells from lockstep_control.differences where pair = 'CUSTOMER' and change = 'modified' order by key ->> 'CUST_NO'`,
      );
      assert.deepEqual(
        cells.map((r) => r.cells),
        [
          { PHONE_NO: { source: '(619) 530-2710', target: '(619) 530-2710 ' } },
          { ON_HOLD: { source: '*', target: null } },
        ],
      );
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
