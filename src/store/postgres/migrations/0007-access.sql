-- Who may ask, and what was done.

create table lockstep_control.token (
  id text primary key,
  name text not null,
  -- SHA-256 of the secret
  hash bytea not null unique,
  role text,
  scopes text[] not null,
  -- JSON: syncs and record entities that it is good for; null: all
  bound text,
  claims text not null default '{}',
  created_by text not null,
  created timestamptz not null,
  expires timestamptz,
  last_used timestamptz,
  revoked timestamptz
);
create unique index token_by_name on lockstep_control.token (name) where revoked is null;

-- Each entry's hash covers the one before it, under a key that is not in here (see src/store/audit-chain.ts).
create table lockstep_control.audit (
  seq bigint primary key,
  at timestamptz not null,
  actor text not null,
  action text not null,
  object text not null,
  before text,
  after text,
  outcome text not null,
  correlation text not null,
  key text not null,
  hash bytea not null
);
create index audit_by_object on lockstep_control.audit (object text_pattern_ops, seq);
create index audit_by_correlation on lockstep_control.audit (correlation);

-- The end of the chain: one row, locked by who appends.
create table lockstep_control.audit_head (
  one boolean primary key default true check (one),
  seq bigint not null,
  hash bytea not null,
  key text not null,
  mac bytea not null
);

-- Against accidents. Who may alter the table may remove this, and is found by the chain.
create function lockstep_control.audit_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is append-only';
end $$;
create trigger audit_is_append_only before update or delete on lockstep_control.audit
  for each row execute function lockstep_control.audit_is_append_only();
create trigger audit_is_not_truncated before truncate on lockstep_control.audit
  for each statement execute function lockstep_control.audit_is_append_only();
