import type { Database } from './databases.ts';
import type { Random } from './random.ts';

/** A small shop: a tree, a circle of two tables, swaps of unique values, identity and computed columns. */
export const shopTables = ['region', 'customer', 'depot', 'manager', 'orders', 'line'] as const;

export const shopKeys: Readonly<Record<(typeof shopTables)[number], number>> = {
  region: 1,
  customer: 1,
  depot: 1,
  manager: 1,
  orders: 1,
  line: 2,
};

/** `own` is a column that only the target has. */
export const createShop = (db: Database, which: 'source' | 'target'): Promise<void> => {
  if (db.engine === 'mysql') return createMysqlShop(db, which);
  const [int, serial, circle] =
    db.engine === 'postgres'
      ? ['bigint', 'bigint generated always as identity primary key', 'deferrable']
      : ['integer', 'integer primary key', 'deferrable initially deferred'];
  const own = which === 'target' ? `own text default 'mine',` : '';
  const later =
    db.engine === 'postgres'
      ? 'alter table depot add foreign key (manager_id) references manager deferrable'
      : 'select 1';
  return db.run(`
    create table region (id ${int} primary key, ${own} name text not null unique);
    create table customer (id ${int} primary key, ${own} code text not null unique, region_id bigint not null references region,
      referrer_id bigint references customer, note text);
    create table depot (id ${int} primary key, ${own} manager_id bigint not null ${db.engine === 'sqlite' ? `references manager ${circle}` : ''});
    create table manager (id ${int} primary key, ${own} depot_id bigint not null references depot ${circle}, name text);
    create table orders (id ${serial}, ${own} customer_id bigint not null references customer, qty bigint, price bigint,
      total bigint generated always as (qty * price) stored);
    create table line (order_id bigint not null references orders on delete cascade, no bigint not null, ${own} what text, primary key (order_id, no));
    ${later}`);
};

/** Foreign keys are checked row by row there, so two tables cannot hold each other: one of them does not. */
const createMysqlShop = (db: Database, which: 'source' | 'target'): Promise<void> => {
  const own = which === 'target' ? `own varchar(100) default 'mine',` : '';
  return db.run(`
    create table region (id bigint primary key, ${own} name varchar(100) not null unique);
    create table customer (id bigint primary key, ${own} code varchar(100) not null unique, region_id bigint not null,
      referrer_id bigint, note text, foreign key (region_id) references region (id), foreign key (referrer_id) references customer (id));
    create table depot (id bigint primary key, ${own} manager_id bigint not null);
    create table manager (id bigint primary key, ${own} depot_id bigint not null, name text, foreign key (depot_id) references depot (id));
    create table orders (id bigint auto_increment primary key, ${own} customer_id bigint not null, qty bigint, price bigint,
      total bigint generated always as (qty * price) stored, foreign key (customer_id) references customer (id));
    create table line (order_id bigint not null, no bigint not null, ${own} what text, primary key (order_id, no),
      foreign key (order_id) references orders (id) on delete cascade)`);
};

const text = (s: string | null): string => (s === null ? 'null' : `'${s}'`);

/** Rows of one side: most of them are on the other side too, many of these with other values. */
export const fillShop = async (db: Database, r: Random, which: 'source' | 'target'): Promise<void> => {
  const own = (ids: number, share: number): number[] =>
    Array.from({ length: ids }, (_, i) => i + 1).filter(() => r.chance(share));
  const shuffled = <T>(list: readonly T[]): T[] =>
    list
      .map((v) => [r.int(2 ** 30), v] as const)
      .sort((a, b) => a[0] - b[0])
      .map(([, v]) => v);
  const script: string[] = [];
  const insert = (table: string, columns: string, rows: readonly string[]): void => {
    const over = db.engine === 'postgres' && table === 'orders' ? ' overriding system value' : '';
    if (rows.length > 0) script.push(`insert into ${table} (${columns})${over} values ${rows.join(', ')}`);
  };
  // Rows that both sides have exchange their unique values. (Values that go round by way of rows that come or go can
  // depend on each other in a circle through foreign keys; such rows are rejected, with the reason.)
  const settled = (n: number, below: number): number[] => [
    ...Array.from({ length: n }, (_, i) => i + 1),
    ...own(below, 0.7).filter((id) => id > n),
  ];
  const exchanged = (id: number, n: number): number => (which === 'target' || id > n ? id : (id % n) + 1);
  const regions = settled(6, 12);
  insert(
    'region',
    'id, name',
    regions.map((id) => `(${id}, 'region ${exchanged(id, 6)}')`),
  );
  const customers = settled(30, 60);
  insert(
    'customer',
    'id, code, region_id, note',
    customers.map(
      (id) =>
        `(${id}, 'code ${exchanged(id, 30)}', ${r.pick(regions)}, ${text(r.pick([null, '', 'x', 'x ', '\u{1f600}']))})`,
    ),
  );
  for (const id of customers)
    if (r.chance(0.5)) script.push(`update customer set referrer_id = ${r.pick(customers)} where id = ${id}`);
  const pairs = own(10, 0.8);
  const partners = shuffled(pairs);
  insert(
    'depot',
    'id, manager_id',
    pairs.map((id, i) => `(${id}, ${partners[i]})`),
  );
  insert(
    'manager',
    'id, depot_id, name',
    pairs.map((id) => `(${id}, ${r.pick(pairs)}, ${text(r.pick(['a', 'b']))})`),
  );
  const orders = own(80, 0.85);
  insert(
    'orders',
    'id, customer_id, qty, price',
    orders.map((id) => `(${id}, ${r.pick(customers)}, ${r.int(3)}, ${r.int(3)})`),
  );
  insert(
    'line',
    'order_id, no, what',
    orders.flatMap((id) => own(3, 0.7).map((no) => `(${id}, ${no}, ${text(r.pick([null, 'a', 'b']))})`)),
  );
  const defer = db.engine === 'postgres' ? 'set constraints all deferred;' : '';
  await db.run(`begin; ${defer} ${script.join(';\n')}; commit`);
};

export type Dump = Readonly<Record<string, ReadonlyMap<string, string>>>;

/** Every row of every table as text, by key. `shared`: without the target's own column. */
export const dumpShop = async (db: Database, shared = false): Promise<Dump> => {
  const dump: Record<string, Map<string, string>> = {};
  for (const table of shopTables) {
    const columns: Record<string, string> = {
      region: 'id, name',
      customer: 'id, code, region_id, referrer_id, note',
      depot: 'id, manager_id',
      manager: 'id, depot_id, name',
      orders: 'id, customer_id, qty, price, total',
      line: 'order_id, no, what',
    };
    const rows = await db.rows(`select ${columns[table]}${shared ? '' : ', own'} from ${table}`);
    dump[table] = new Map(
      rows
        .map((row) => row.map((cell) => (cell === null ? null : String(cell))))
        .sort((a, b) => Number(a[0]) - Number(b[0]) || Number(a[1]) - Number(b[1]))
        .map((row) => [row.slice(0, shopKeys[table]).join(), JSON.stringify(row)] as const),
    );
  }
  return dump;
};
