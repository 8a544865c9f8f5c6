-- The old application's SQLite file, as such files are: dates as text, flags as 0 and 1, and some values that are not
-- what their columns say.
create table customers (
  id integer primary key autoincrement,
  email text not null unique,
  name text,
  active boolean not null default 1,
  born date,
  created_at datetime not null
);
create table orders (
  id integer primary key autoincrement,
  customer_id integer not null references customers (id),
  status text not null default 'open',
  quantity integer not null,
  total decimal(10,2) not null,
  updated_at datetime not null
);
create index orders_customer on orders (customer_id);
create index orders_updated on orders (updated_at);

with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
insert into customers (email, name, active, born, created_at)
select 'user' || i || '@example.com', case when i % 17 = 0 then null else 'Müller & Söhne ' || i end, i % 5 <> 0,
  date('1960-01-01', '+' || (i * 37) || ' days'), datetime('2024-01-01', '+' || i || ' hours') from n;

with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
insert into orders (customer_id, status, quantity, total, updated_at)
select 1 + i % 500, case i % 4 when 0 then 'open' when 1 then 'paid' when 2 then 'shipped' else 'returned' end,
  1 + i % 9, (i * 7 % 100000) / 100.0, datetime('2026-01-01', '+' || i || ' minutes') from n;

-- What ten years leave behind
pragma foreign_keys = off;
update orders set quantity = 'a dozen' where id = 1200;
update customers set born = '1985-02-30' where id = 77;
insert into orders (customer_id, status, quantity, total, updated_at) values (9999, 'open', 1, 5, '2026-02-01 00:00:00');
