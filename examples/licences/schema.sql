-- Our table keeps a key of its own; a licence is known to the vendor by its external id.
create table licenses (
  id bigint generated always as identity primary key,
  external_id text not null unique,
  product text not null,
  customer text not null,
  status text not null check (status in ('active', 'inactive')),
  seats integer not null,
  price numeric(10, 2) not null,
  updated_at timestamptz not null,
  note text
);
create index on licenses (updated_at);
