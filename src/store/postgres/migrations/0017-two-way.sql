-- What two-way runs are about to write, from the decision until the archive has followed.
create table lockstep_control.two_way_runs (
  run text primary key,
  sync text not null,
  begun timestamptz not null,
  source_plan text,
  target_plan text,
  source_child text,
  target_child text
);
create index two_way_runs_sync on lockstep_control.two_way_runs (sync, begun);

create table lockstep_control.two_way_rows (
  run text not null references lockstep_control.two_way_runs on delete cascade,
  seq bigint generated always as identity,
  pair text not null,
  -- SHA-256 of the key: a key may be longer than an index takes
  hash bytea not null,
  -- JSON texts, which keep what a jsonb would not (NUL, lone surrogates)
  key text not null,
  source text,
  target text,
  result text,
  write_source boolean not null,
  write_target boolean not null,
  conflict text,
  ruling text,
  -- o: nobody knows of a write · s: stored · m: missed
  source_state "char" not null default 'o',
  source_stored text,
  target_state "char" not null default 'o',
  target_stored text,
  primary key (run, pair, hash)
);
create index two_way_rows_order on lockstep_control.two_way_rows (run, pair, seq);

-- Keys that two-way runs have written, to find those that flap between the sides.
create table lockstep_control.two_way_writes (
  sync text not null,
  pair text not null,
  hash bytea not null,
  at timestamptz not null,
  source boolean not null,
  target boolean not null
);
create index two_way_writes_key on lockstep_control.two_way_writes (sync, pair, hash, at);
create index two_way_writes_at on lockstep_control.two_way_writes using brin (at);
