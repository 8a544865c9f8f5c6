import { type FirebirdDatabase, firebirdDatabase } from '../test/servers/firebird.ts';
import { type MariadbDatabase, mariadbDatabase } from '../test/servers/mariadb.ts';
import { lockstepDiff } from './diff.ts';
import { type Figure, round } from './figures.ts';
import { median, runProcess } from './measure.ts';
import { withClients } from './servers.ts';

/**
 * PostgreSQL against databases of which only a driver gives the rows. The same rows are made on each side by its own
 * SQL: ten columns of everyday types, of such values as every engine can hold.
 */
const names = 'id, ref, customer_id, tier, status, amount, currency, started_at, updated_at, note';
const plans = ['starter', 'team', 'business', 'enterprise'];
const states = ['active', 'trialing', 'past_due', 'paused', 'canceled'];
const currencies = ['EUR', 'USD', 'JPY'];
const listed = (list: readonly string[]): string => list.map((x) => `'${x}'`).join(', ');

const inPostgres = async (url: string, rows: number): Promise<void> =>
  withClients([url], async ([c]) => {
    await c!.query(`drop table if exists d_rows; create table d_rows (id bigint primary key, ref char(36) not null, customer_id int not null,
      tier varchar(20), status varchar(20) not null, amount numeric(12,2) not null, currency char(3) not null,
      started_at timestamp(3) not null, updated_at timestamp(3), note varchar(60))`);
    await c!.query(`insert into d_rows select n, '00000000-0000-4000-8000-' || lpad(n::text, 12, '0'), n % 50000,
      case when n % 9 = 0 then null else (array[${listed(plans)}])[1 + n % 4] end, (array[${listed(states)}])[1 + n % 5],
      (n * 7 % 1000000) / 100.0 - 500, (array[${listed(currencies)}])[1 + n % 3],
      timestamp '2020-01-01' + n * interval '131 seconds' + (n % 1000) * interval '1 millisecond',
      case when n % 11 = 0 then null else timestamp '2026-01-01' + n * interval '1 second' end, 'note of row ' || n
      from generate_series(1, ${rows}) n`);
    await c!.query('vacuum (analyze, freeze) d_rows');
  });

const inMariadb = async (db: MariadbDatabase, rows: number): Promise<void> => {
  await db.query(`create table d_rows (id bigint primary key, ref char(36) not null, customer_id int not null, tier varchar(20),
    status varchar(20) not null, amount decimal(12,2) not null, currency char(3) not null, started_at datetime(3) not null,
    updated_at datetime(3), note varchar(60))`);
  await db.query(`insert into d_rows select seq, concat('00000000-0000-4000-8000-', lpad(seq, 12, '0')), seq % 50000,
    case when seq % 9 = 0 then null else elt(1 + seq % 4, ${listed(plans)}) end, elt(1 + seq % 5, ${listed(states)}),
    (seq * 7 % 1000000) / 100 - 500, elt(1 + seq % 3, ${listed(currencies)}),
    '2020-01-01' + interval seq * 131 second + interval (seq % 1000) * 1000 microsecond,
    case when seq % 11 = 0 then null else '2026-01-01' + interval seq second end, concat('note of row ', seq)
    from seq_1_to_${rows}`);
  await db.query('analyze table d_rows');
};

const inFirebird = async (db: FirebirdDatabase, rows: number): Promise<void> => {
  const choose = (n: string, list: readonly string[]): string =>
    `trim(decode(${n}, ${list.map((x, i) => `${i}, '${x}'`).join(', ')}))`; // texts of one length, else
  await db.run(
    `create table D_ROWS (ID bigint not null primary key, REF char(36) character set ascii not null, CUSTOMER_ID integer not null,
      TIER varchar(20) character set utf8, STATUS varchar(20) character set utf8 not null, AMOUNT numeric(12,2) not null,
      CURRENCY char(3) character set ascii not null, STARTED_AT timestamp not null, UPDATED_AT timestamp, NOTE varchar(60) character set utf8)`,
  );
  await db.run(
    `execute block as declare n bigint = 0; begin while (n < ${rows}) do begin n = n + 1;
      insert into D_ROWS values (:n, '00000000-0000-4000-8000-' || lpad(:n, 12, '0'), mod(:n, 50000),
        iif(mod(:n, 9) = 0, null, ${choose('mod(:n, 4)', plans)}), ${choose('mod(:n, 5)', states)},
        cast(mod(:n * 7, 1000000) as numeric(12, 2)) / 100 - 500, ${choose('mod(:n, 3)', currencies)},
        dateadd(mod(:n, 1000) millisecond to dateadd(:n * 131 second to timestamp '2020-01-01 00:00:00')),
        iif(mod(:n, 11) = 0, null, dateadd(:n second to timestamp '2026-01-01 00:00:00')), 'note of row ' || :n);
      end end`,
  );
};

/** Programs that read all rows in key order by the driver alone, as arrays, and print how long it took. */
const mysqlRead = `import mysql from 'mysql2';
const c = mysql.createConnection({ uri: process.argv[1], rowsAsArray: true, dateStrings: true, supportBigNumbers: true });
await new Promise((resolve, reject) => c.connect((e) => (e ? reject(e) : resolve())));
const start = performance.now();
let n = 0;
for await (const row of c.query('select ${names} from d_rows order by id').stream()) n += row.length;
console.log(performance.now() - start);
c.end();`;
const firebirdRead = `import fb from 'node-firebird';
const u = new URL(process.argv[1]);
const options = { host: u.hostname, port: Number(u.port), user: u.username, password: u.password, database: decodeURIComponent(u.pathname), blobAsText: false };
fb.attach(options, (error, db) => {
  if (error) throw error;
  const start = performance.now();
  let n = 0;
  db.sequentially('select ${names} from D_ROWS order by ID', [], (row) => { n += row.length; }, (failed) => {
    if (failed) throw failed;
    console.log(performance.now() - start);
    db.detach();
  }, true);
});`;

const measureSide = async (
  urls: readonly [string, string],
  o: { readonly engine: string; readonly read: string; readonly rows: number; readonly rounds: number },
): Promise<Figure> => {
  const turns: { readonly limit: number; readonly ours: number; readonly rss: number }[] = [];
  for (let turn = 0; turn <= o.rounds; turn++) {
    const limits = await Promise.all([
      runProcess(process.execPath, ['--input-type=module', '-e', o.read, urls[1]]).then((r) => {
        if (r.code !== 0) throw new Error(r.stderr);
        return Number(r.stdout) / 1000;
      }),
      withClients([urls[0]], async ([c]) => {
        const start = performance.now();
        await c!.query('select count(*), sum(hash_record_extended(t, 0)::numeric) from d_rows t');
        return (performance.now() - start) / 1000;
      }),
    ]);
    const ours = await lockstepDiff(urls, 'd_rows', 0);
    if (turn > 0)
      turns.push({
        limit: Math.max(...limits),
        ours: ours.process.seconds - ours.settleSeconds - 0.3,
        rss: ours.process.peakMb,
      });
  }
  const ratio = round(median(turns.map((t) => t.ours / t.limit)));
  return {
    scenario: `diff PostgreSQL with ${o.engine}`,
    rows: o.rows,
    seconds: round(median(turns.map((t) => t.ours))),
    yardstick: round(median(turns.map((t) => t.limit))),
    ratio,
    goal: 1.3,
    holds: ratio <= 1.3,
    rss: Math.round(Math.max(...turns.map((t) => t.rss))),
  };
};

/** Against the slower of the driver's own streaming read and PostgreSQL's limit, both at once. */
export const measureDrivers = async (url: string, rows: number, rounds: number): Promise<readonly Figure[]> => {
  await inPostgres(url, rows);
  const figures: Figure[] = [];
  {
    await using db = await mariadbDatabase();
    await inMariadb(db, rows);
    figures.push(await measureSide([url, db.url], { engine: 'MariaDB', read: mysqlRead, rows, rounds }));
  }
  {
    await using db = await firebirdDatabase();
    await inFirebird(db, rows);
    figures.push(await measureSide([url, db.url], { engine: 'Firebird', read: firebirdRead, rows, rounds }));
  }
  return figures;
};
