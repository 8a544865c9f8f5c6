/** The demo's two databases: a billing system and the CRM that should say the same. About 310,000 rows each. */
export const schemaSql = `
create type plan_tier as enum ('starter', 'team', 'business', 'enterprise');
create table customers (
  id bigint primary key,
  email text not null unique,
  full_name text not null,
  company varchar(80),
  country char(2) not null,
  vat_number text,
  created_at timestamptz not null,
  notes text
);
create table subscriptions (
  id uuid primary key,
  customer_id bigint not null references customers (id),
  tier plan_tier not null,
  status text not null check (status in ('trialing', 'active', 'past_due', 'paused', 'canceled')),
  seats int not null,
  price numeric(12,2) not null,
  currency char(3) not null,
  started_on date not null,
  renews_at timestamptz,
  settings jsonb not null default '{}'
);
create index on subscriptions (customer_id);
create table invoices (
  customer_id bigint not null references customers (id),
  number int not null,
  issued_at timestamptz not null,
  amount numeric(12,2) not null,
  tax numeric(12,4) not null,
  paid boolean not null,
  memo text,
  primary key (customer_id, number)
);
`;

/** Deterministic rows: the same on both sides, so that only the planted drift differs. */
export const rowsSql = `
insert into customers
select n,
       'user' || n || '@' || (array['acme', 'globex', 'initech', 'umbrella', 'hooli'])[1 + n % 5] || '.example',
       (array['Ada', 'Grace', 'Édith', 'Søren', '美咲', 'Zoë', 'Łukasz', 'Ana'])[1 + n % 8] || ' ' ||
       (array['Lovelace', 'Hopper', 'Piaf', 'Kierkegaard', '田中', 'O''Neill', 'Nowak', 'García'])[1 + (n / 8) % 8],
       case when n % 7 = 0 then null else (array['Acme', 'Globex', 'Initech', 'Umbrella', 'Hooli'])[1 + n % 5] || ' ' || n % 900 end,
       (array['DE', 'ES', 'FR', 'US', 'JP', 'PL'])[1 + n % 6],
       case when n % 3 = 0 then 'VAT' || lpad((n * 7919 % 100000000)::text, 8, '0') end,
       timestamptz '2021-01-01 00:00Z' + n * interval '37 minutes 11.013 seconds',
       case when n % 11 = 0 then '' when n % 5 = 0 then 'prefers e-mail' end
from generate_series(1, 50000) n;
insert into subscriptions
select md5('subscription ' || n)::uuid, 1 + n % 50000,
       (enum_range(null::plan_tier))[1 + n % 4],
       (array['active', 'active', 'active', 'trialing', 'past_due', 'paused', 'canceled'])[1 + n % 7],
       1 + n % 250, (9 + n % 490) + 0.99, (array['EUR', 'USD', 'JPY'])[1 + n % 3],
       date '2022-01-01' + n % 1500,
       case when n % 7 = 6 then null else timestamptz '2026-01-01 00:00Z' + (n % 525600) * interval '1 minute' end,
       jsonb_build_object('sso', n % 2 = 0, 'limits', jsonb_build_object('api', n % 1000, 'storage_gb', n % 50))
from generate_series(1, 60000) n;
insert into invoices
select 1 + n % 50000, 1 + n / 50000,
       timestamptz '2025-01-01 00:00Z' + n * interval '97 seconds 123 microseconds',
       10 + (n * 7 % 90000) / 100.0, (10 + (n * 7 % 90000) / 100.0) * 0.19, n % 13 <> 0,
       case when n % 17 = 0 then 'credit applied' end
from generate_series(0, 199999) n;
analyze;
`;

/** What went wrong in the CRM meanwhile: drift of every kind, few enough to read. */
export const driftSql = `
-- a webhook was lost: cancellations never arrived
update subscriptions set status = 'active' where id in (select id from subscriptions where status = 'canceled' order by id limit 40);
-- an import wrote local time: renewals are off by exactly one hour
update subscriptions set renews_at = renews_at + interval '1 hour' where id in (select id from subscriptions where renews_at is not null and status = 'trialing' order by id limit 25);
-- a form trimmed nothing, a script lower-cased names, an API sent empty texts for nulls
update customers set company = company || '  ' where id in (101, 2002, 30003);
update customers set full_name = lower(full_name) where id in (408, 8009);
update customers set vat_number = '' where id in (1, 2, 4, 5);
-- amounts were rounded to cents on the way
update invoices set tax = round(tax, 2) where customer_id between 700 and 704 and number = 1;
-- two invoices exchanged their amounts: every sum still adds up
update invoices i set amount = j.amount from invoices j
 where (i.customer_id, i.number, j.customer_id, j.number) in ((900, 1, 901, 1), (901, 1, 900, 1));
-- rows that never arrived, and rows nobody knows
delete from invoices where customer_id in (4711, 4712) and number = 4;
delete from subscriptions where customer_id = 1235;
insert into customers values (900001, 'ghost@nowhere.example', 'Ghost Account', null, 'US', null, '2026-05-05 05:05Z', null);
-- json that says the same in another spelling is no difference; one changed limit is
update subscriptions set settings = settings::text::jsonb where customer_id = 77;
update subscriptions set settings = jsonb_set(settings, '{limits,api}', '999999') where customer_id = 78;
`;
