import { createHash } from 'node:crypto';
import { mysql } from '../../../src/engines/mysql/index.ts';
import type { ColumnType } from '../../../src/model/schema.ts';
import { mariadbDatabase } from '../../servers/mariadb.ts';
import type { Harness } from '../harness.ts';
import { createTable, type Dialect, editStatements } from './sql.ts';

const type = (t: ColumnType): string => {
  switch (t.kind) {
    case 'int':
      return { 16: 'smallint', 32: 'int', 64: 'bigint' }[t.bits];
    case 'decimal':
      return `decimal(${t.precision ?? 65}, ${t.scale ?? 0})`;
    case 'float':
      return t.bits === 64 ? 'double' : 'float';
    case 'bool':
      return 'tinyint(1)';
    case 'bytes':
      return 'varbinary(2000)';
    case 'text':
      return 'varchar(600) collate utf8mb4_nopad_bin';
    case 'time':
      return `time(${t.fraction})`;
    case 'timestamp':
      return `datetime(${t.fraction})`;
    // TIMESTAMP ends in 2038; what the kit asks of an instant a DATETIME holds as well
    case 'instant':
      return `datetime(${t.fraction})`;
    default:
      return t.kind;
  }
};

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

const dialect: Dialect = {
  type,
  literal: (t, text) => {
    switch (t.kind) {
      case 'bool':
        return text === 'true' ? '1' : '0';
      case 'int':
      case 'decimal':
        return text;
      case 'float':
        return text.includes('e') ? text : `${text}e0`;
      case 'bytes':
        return `x'${text}'`;
      default:
        return quoted(text);
    }
  },
  serial: 'bigint not null auto_increment primary key',
  identity: 'bigint not null auto_increment primary key',
  defaults: '() values ()',
  id: (name) => `\`${name.replaceAll('`', '``')}\``,
};

/** Statements of others that run or wait in the server, and have for longer than a statement of the kit takes. */
const busyQuery = `
  select count(*) as n from information_schema.processlist
  where db = database() and id <> connection_id() and command in ('Query', 'Execute') and time_ms > 200`;

export const mysqlHarness: Harness = {
  name: 'mysql',
  hashed: ['bool', 'int', 'decimal', 'float', 'text', 'uuid', 'bytes', 'date', 'time', 'timestamp', 'instant'],
  slowFilter: 'sleep(1) > 5',
  names: 'basic',
  database: async (tables) => {
    const db = await mariadbDatabase();
    for (const table of tables) for (const statement of createTable(dialect, table)) await db.query(statement);
    return {
      connect: async ({ writable }) =>
        mysql.connect(mysql.parse(db.url), { name: 'kit', writable, signal: AbortSignal.timeout(120_000) }),
      edit: async (name, edit) => {
        for (const statement of editStatements(dialect, tables.find((t) => t.name === name)!, edit))
          await db.query(statement);
      },
      trace: async () => {
        const rows = await db.query(
          `select table_name as name, create_time, update_time from information_schema.tables where table_schema = database() order by 1`,
        );
        const sums = [];
        for (const row of rows) sums.push(await db.query('checksum table ??', [row['name']]));
        return createHash('md5')
          .update(JSON.stringify([rows, sums]))
          .digest('hex');
      },
      expireLocks: async () => {
        await db.query(`update lockstep_locks set expires = '2000-01-01' where name <> ''`);
      },
      markers: async () => {
        const there = await db.query(`show tables like 'lockstep\\_steps'`);
        if (there.length === 0) return 0;
        return Number((await db.query('select count(*) as n from lockstep_steps'))[0]!['n']);
      },
      busy: async () => Number((await db.query(busyQuery))[0]!['n']) > 0,
      [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
    };
  },
  bigTable: async (rows) => {
    const db = await mariadbDatabase();
    await db.query('create table big (id bigint primary key, name text, amount decimal(12,2), at datetime)');
    await db.query(
      `insert into big select seq, concat('row ', seq), seq / 100, timestamp'2000-01-01 00:00:00' + interval seq second
       from seq_1_to_${rows}`,
    );
    return { url: db.url, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
  },
};
