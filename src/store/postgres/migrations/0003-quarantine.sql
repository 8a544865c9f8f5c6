-- Source rows that break the rules of their pair, until they are valid, gone or dropped.
create table lockstep_control.quarantine (
  sync text not null,
  pair text not null,
  -- SHA-256 of the key: a key may be longer than an index takes
  hash bytea not null,
  -- JSON texts, which keep what a jsonb would not (NUL, lone surrogates)
  columns text not null,
  key text not null,
  reasons text not null,
  image text not null,
  first_run text not null,
  first_seen timestamptz not null,
  last_run text not null,
  last_seen timestamptz not null,
  attempts integer not null,
  -- in the order they came
  seq bigint generated always as identity,
  primary key (sync, pair, hash)
);
