-- Keys that both sides changed, each in its own way: those that wait for a person, and what became of the others.
create table lockstep_control.conflict (
  id text primary key,
  version integer not null default 1,
  sync text not null,
  pair text not null,
  -- SHA-256 of the key: a key may be longer than an index takes
  hash bytea not null,
  state text not null check (state in ('pending', 'decided', 'resolved', 'ruled', 'gone')),
  type text not null,
  run text not null,
  -- JSON texts, which keep what a jsonb would not (NUL, lone surrogates)
  key text not null,
  columns text not null,
  key_width integer not null,
  base text,
  source text,
  target text,
  -- ruled: what was chosen; null: that the row goes
  result text,
  policy text,
  reason text not null,
  -- source names of the disputed columns, to be found by
  disputed text[] not null,
  found timestamptz not null,
  seen timestamptz not null,
  closed timestamptz,
  closed_by text,
  resolution text,
  decided_by text,
  decided_at timestamptz,
  why text
);

create unique index conflict_open on lockstep_control.conflict (sync, pair, hash) where state in ('pending', 'decided');
create index conflict_sync on lockstep_control.conflict (sync, id);
create index conflict_key on lockstep_control.conflict (sync, pair, hash);
create index conflict_found on lockstep_control.conflict (found);
create index conflict_waits on lockstep_control.conflict (id) where state in ('pending', 'decided');
create index conflict_closed on lockstep_control.conflict (closed) where closed is not null;
