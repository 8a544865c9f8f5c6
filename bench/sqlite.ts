import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { lockstepDiff } from './diff.ts';
import { type Figure, round } from './figures.ts';
import { median, runProcess } from './measure.ts';
import { withClients } from './servers.ts';

const plainColumns = 'id, ref, customer_id, plan, status, amount, currency, started_at, updated_at';
const columnsOf = (json: boolean): string => (json ? `${plainColumns}, metadata` : plainColumns);

/** Writes the rows of `k_bigint` to a SQLite file; JSON as most programs write it, without blanks. */
const copyToFile = async (url: string, path: string): Promise<void> => {
  const db = new DatabaseSync(path);
  db.exec(`create table k_bigint (id integer primary key, ref uuid not null, customer_id integer not null, plan text,
    status text not null, amount numeric(12,2) not null, currency char(3) not null, started_at timestamptz not null, updated_at timestamptz, metadata json)`);
  const insert = db.prepare(`insert into k_bigint values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  await withClients([url], async ([c]) => {
    await c!.query("set timezone = 'UTC'");
    await c!.query(`begin; declare rows cursor for select id, ref, customer_id, plan, status, amount::text, currency,
      to_char(started_at, 'YYYY-MM-DD HH24:MI:SS.US'), to_char(updated_at, 'YYYY-MM-DD HH24:MI:SS.US'), metadata::text from k_bigint`);
    for (;;) {
      const { rows } = await c!.query({ text: 'fetch 20000 from rows', rowMode: 'array' });
      if (rows.length === 0) break;
      db.exec('begin');
      for (const row of rows as string[][]) insert.run(...row.slice(0, 9), JSON.stringify(JSON.parse(row[9]!)));
      db.exec('commit');
    }
    await c!.query('commit');
  });
  db.exec('pragma optimize; analyze');
  db.close();
};

const iterate = (columns: string): string => `import { DatabaseSync } from 'node:sqlite';
const db = new DatabaseSync(process.argv[1], { readOnly: true });
const rows = db.prepare('select ${columns} from k_bigint order by id');
rows.setReturnArrays(true);
const start = performance.now();
let n = 0;
for (const row of rows.iterate()) n += row.length;
console.log(performance.now() - start);`;

/** PostgreSQL against SQLite: the slower of Node iterating over SQLite's rows and PostgreSQL's limit, both at once. */
export const measureSqlite = async (url: string, rows: number, rounds: number): Promise<readonly Figure[]> => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-bench-'));
  try {
    const path = join(dir, 'a.sqlite');
    await copyToFile(url, path);
    return [await measureFile(url, path, rows, rounds, false), await measureFile(url, path, rows, rounds, true)];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

const measureFile = async (url: string, path: string, rows: number, rounds: number, json: boolean): Promise<Figure> => {
  const columns = columnsOf(json);
  const turns: { readonly limit: number; readonly ours: number; readonly rss: number }[] = [];
  for (let turn = 0; turn <= rounds; turn++) {
    const limits = await Promise.all([
      runProcess(process.execPath, ['--input-type=module', '-e', iterate(columns), path]).then(
        (r) => Number(r.stdout) / 1000,
      ),
      withClients([url], async ([c]) => {
        const start = performance.now();
        await c!.query(
          `select count(*), sum(hash_record_extended(t, 0)::numeric) from (select ${columns} from k_bigint) t`,
        );
        return (performance.now() - start) / 1000;
      }),
    ]);
    const o = await lockstepDiff([url, `sqlite:${path}`], 'k_bigint', 0, [
      '--settle',
      '0s',
      ...(json ? [] : ['--exclude', 'metadata']),
    ]);
    if (turn > 0)
      turns.push({
        limit: Math.max(...limits),
        ours: o.process.seconds - o.settleSeconds - 0.3,
        rss: o.process.peakMb,
      });
  }
  const ratio = round(median(turns.map((t) => t.ours / t.limit)));
  return {
    scenario: `diff PostgreSQL with SQLite, ${json ? 'with' : 'without'} JSON`,
    rows,
    seconds: round(median(turns.map((t) => t.ours))),
    yardstick: round(median(turns.map((t) => t.limit))),
    ratio,
    goal: 1.3,
    holds: ratio <= 1.3,
    rss: Math.round(Math.max(...turns.map((t) => t.rss))),
  };
};
