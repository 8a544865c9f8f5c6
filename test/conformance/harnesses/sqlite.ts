import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sqlite } from '../../../src/engines/sqlite/index.ts';
import { encodeUtf8 } from '../../../src/model/canon/utf8.ts';
import type { ColumnType } from '../../../src/model/schema.ts';
import type { Harness } from '../harness.ts';
import { createTable, type Dialect, editStatements, quoted } from './sql.ts';

const type = (t: ColumnType): string => {
  switch (t.kind) {
    case 'int':
      return 'INTEGER';
    case 'decimal':
      return t.precision === undefined ? 'DECIMAL' : `DECIMAL(${t.precision}, ${t.scale ?? 0})`;
    case 'float':
      return 'REAL';
    case 'bool':
      return 'BOOLEAN';
    case 'bytes':
      return 'BLOB';
    case 'instant':
      return 'TIMESTAMP';
    default:
      return t.kind.toUpperCase();
  }
};

const dialect: Dialect = {
  type,
  literal: (t, text) => {
    switch (t.kind) {
      case 'bool':
        return text === 'true' ? '1' : '0';
      case 'int':
        // The least integer has no literal of its own.
        return text === '-9223372036854775808' ? '(-9223372036854775807 - 1)' : text;
      case 'decimal':
        return text;
      case 'float':
        return text.includes('e') ? text : `${text}e0`;
      case 'bytes':
        return `x'${text}'`;
      default:
        return /[\0\ud800-\udfff]/.test(text) && !text.isWellFormed()
          ? `cast(x'${Buffer.from(encodeUtf8(text)).toString('hex')}' as text)`
          : quoted(text);
    }
  },
  serial: 'integer primary key autoincrement',
  identity: 'integer primary key autoincrement',
};

/** Children of this process that use the processor now. */
const runningChildren = (): number => {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
  return children
    .split(' ')
    .filter((pid) => pid !== '')
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /, '')
          .startsWith('R');
      } catch {
        return false;
      }
    }).length;
};

export const sqliteHarness: Harness = {
  name: 'sqlite',
  hashed: ['bool', 'int', 'decimal', 'float', 'text', 'uuid', 'bytes', 'date', 'time', 'timestamp', 'instant'],
  slowFilter:
    '(with recursive c(n) as (select 1 union all select n + 1 from c where n < 1000000000) select max(n) from c) > 0',
  database: async (tables) => {
    const dir = mkdtempSync(join(tmpdir(), 'lockstep-kit-'));
    const path = join(dir, 'kit.db');
    const raw = new DatabaseSync(path);
    raw.exec('pragma journal_mode = wal; pragma synchronous = off; begin');
    for (const table of tables) for (const statement of createTable(dialect, table)) raw.exec(statement);
    raw.exec('commit; pragma wal_checkpoint(truncate)');
    return {
      connect: async ({ writable }) =>
        sqlite.connect(sqlite.parse(`sqlite:${path}`), { name: 'kit', writable, signal: AbortSignal.timeout(120_000) }),
      edit: async (name, edit) => {
        for (const statement of editStatements(dialect, tables.find((t) => t.name === name)!, edit))
          raw.exec(statement);
      },
      trace: async () => {
        const files = readdirSync(dir)
          .filter((f) => !f.endsWith('-shm'))
          .sort();
        return files
          .map(
            (f) =>
              `${f} ${createHash('md5')
                .update(readFileSync(join(dir, f)))
                .digest('hex')}`,
          )
          .join('\n');
      },
      expireLocks: async () => {
        raw.exec('update lockstep_locks set expires_at = 0');
      },
      markers: async () => {
        const there = raw.prepare(`select 1 from sqlite_schema where name = 'lockstep_steps'`).get();
        return there ? Number(raw.prepare('select count(*) as n from lockstep_steps').get()!['n']) : 0;
      },
      busy: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return runningChildren() > 0;
      },
      [Symbol.asyncDispose]: async () => {
        raw.close();
        rmSync(dir, { recursive: true, force: true });
      },
    };
  },
  bigTable: async (rows) => {
    const dir = mkdtempSync(join(tmpdir(), 'lockstep-big-'));
    const raw = new DatabaseSync(join(dir, 'big.db'));
    raw.exec('pragma journal_mode = wal; pragma synchronous = off');
    raw.exec('create table big (id INTEGER primary key, name TEXT, amount DECIMAL(12,2), at TIMESTAMP)');
    raw
      .prepare(
        `insert into big with recursive c(n) as (select 1 union all select n + 1 from c where n < ?)
         select n, 'row ' || n, n / 100.0, datetime('2000-01-01', n || ' seconds') from c`,
      )
      .run(rows);
    raw.close();
    return {
      url: `sqlite:${join(dir, 'big.db')}`,
      [Symbol.asyncDispose]: async () => rmSync(dir, { recursive: true, force: true }),
    };
  },
};
