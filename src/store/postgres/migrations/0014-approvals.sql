-- Plans of syncs that are applied as soon as enough people have agreed to them.
create table lockstep_control.plan_wait (
  plan text primary key references lockstep_control.plan on delete cascade,
  sync text not null,
  run text not null,
  required integer not null,
  since timestamptz not null,
  expires timestamptz not null,
  state text not null default 'waiting' check (state in ('waiting', 'approved', 'expired', 'superseded')),
  ended timestamptz,
  -- the run that applies it
  applied_by text
);
create unique index plan_wait_of_sync on lockstep_control.plan_wait (sync) where state = 'waiting';

-- The place in a trace (W3C) of whoever asked for the run.
alter table lockstep_control.run add column traceparent text;
