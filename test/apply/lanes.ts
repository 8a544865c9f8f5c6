import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { testDatabase } from '../servers/postgres.ts';

/** A database of its own for one crash after another: the source beside it never changes. */
export interface Lane extends AsyncDisposable {
  readonly engine: 'postgres' | 'sqlite';
  readonly source: string;
  readonly target: string;
  /** Fresh tables, with triggers that count writes. */
  reset(): Promise<void>;
  exec(sql: string): Promise<void>;
  /** Each row as its cells joined by commas. */
  rows(sql: string): Promise<readonly string[]>;
}

// Values that are exchanged, a parent that is new, a row that goes with its child, one that is refused, one that moves.
const people = `insert into people (id, name, email) values (1,'old','x'),(2,'old','y'),(3,'gone','z'),(4,'old','w'),(8,'gone','v');
  insert into orders values (10,3,'gone'),(11,1,'old'),(12,2,'same');`;

const wanted = (clean: boolean): string => `
  create table people (id bigint primary key, name text not null, email text);
  create table orders (id bigint primary key, people_id bigint references people(id), note text);
  insert into people values (1,'new','y'),(2,'new','x'),(4,'new','w'),(5,'ann','e'),(6,'bob','f')${clean ? '' : ",(7,'bad','g')"};
  insert into orders values (11,5,'new'),(12,2,'same'),(13,6,'n')${clean ? '' : ",(14,7,'waits')"};`;

const postgresSetup = `
  do $$ begin
    -- A child that died after its run had ended leaves its lock until that runs out.
    if to_regclass('lockstep.locks') is not null then execute 'delete from lockstep.locks'; end if;
  end $$;
  drop table if exists audit, orders, people;
  drop function if exists seen cascade;
  create table people (id bigint primary key, name text not null check (name <> 'bad'), email text unique, made serial);
  create table orders (id bigint primary key, people_id bigint references people, note text);
  create table audit (t text, id bigint, op text);
  create function seen() returns trigger language plpgsql as $$
    begin
      -- Values of a unique column that are exchanged are parked on the way: that is no second write of the row.
      if tg_op <> 'UPDATE' or new is distinct from old and (to_jsonb(new) - 'email') <> (to_jsonb(old) - 'email')
      then insert into audit values (tg_table_name, coalesce(new.id, old.id), tg_op); end if;
      return null;
    end $$;
  ${people}
  create trigger seen after insert or update or delete on people for each row execute function seen();
  create trigger seen after insert or update or delete on orders for each row execute function seen();`;

export const postgresLane = async (clean: boolean): Promise<Lane> => {
  const source = await testDatabase();
  const target = await testDatabase();
  await source.query(wanted(clean));
  return {
    engine: 'postgres',
    source: source.url,
    target: target.url,
    reset: async () => void (await target.query(postgresSetup)),
    exec: async (sql) => void (await target.query(sql)),
    rows: async (sql) => (await target.query(sql)).rows.map((row) => Object.values(row).join(',')),
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
};

const counted = (table: string, same: string): string =>
  ['insert', 'update', 'delete']
    .map((op) => {
      const row = op === 'delete' ? 'old' : 'new';
      const when = op === 'update' ? `when ${same}` : '';
      return `create trigger seen_${table}_${op} after ${op} on ${table} ${when} begin insert into audit values ('${table}', ${row}.id, '${op}'); end;`;
    })
    .join('\n');

const sqliteSetup = `
  pragma foreign_keys = off;
  drop table if exists lockstep_steps; drop table if exists lockstep_locks;
  drop table if exists audit; drop table if exists orders; drop table if exists people;
  create table people (id integer primary key, name text not null check (name <> 'bad'), email text unique, made text default 'here');
  create table orders (id integer primary key, people_id bigint references people(id), note text);
  create table audit (t text, id bigint, op text);
  ${people}
  ${counted('people', 'new.name is not old.name')}
  ${counted('orders', 'new.note is not old.note')}`;

export const sqliteLane = async (clean: boolean): Promise<Lane> => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-crash-'));
  const file = (name: string): string => join(folder, `${name}.db`);
  const use = async <T>(name: string, work: (db: DatabaseSync) => T): Promise<T> => {
    const db = new DatabaseSync(file(name), { timeout: 20_000 });
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  await use('source', (db) => db.exec(wanted(clean)));
  return {
    engine: 'sqlite',
    source: `sqlite:${file('source')}`,
    target: `sqlite:${file('target')}`,
    reset: () => use('target', (db) => db.exec(sqliteSetup)),
    exec: (sql) => use('target', (db) => db.exec(sql)),
    rows: (sql) =>
      use('target', (db) =>
        db
          .prepare(sql)
          .all()
          .map((row) => Object.values(row).join(',')),
      ),
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  };
};
