-- Where incremental comparison stands, per sync, pair and settings.
create table lockstep_control.standing (
  sync text not null,
  pair text not null,
  settings text not null,
  -- JSON texts, which keep what a jsonb would not (NUL, lone surrogates)
  marks text not null,
  open text not null,
  rows text not null,
  run text not null,
  at timestamptz not null,
  full_run text not null,
  full_at timestamptz not null,
  runs integer not null,
  saved timestamptz not null default now(),
  primary key (sync, pair, settings)
);
