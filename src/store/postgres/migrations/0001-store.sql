-- What Lockstep remembers. JSON is kept as text, never as jsonb: a value may hold NUL or a lone surrogate, which JSON
-- escapes and jsonb refuses. Bodies are lines of JSON, compressed (see src/store/chunk.ts).

create table lockstep_control.run (
  id text primary key,
  kind text not null check (kind in ('diff', 'plan', 'apply', 'sync', 'verify', 'revert', 'copy')),
  state text not null default 'running' check (state in ('running', 'done', 'failed', 'cancelled')),
  sync text,
  source text,
  target text,
  plan text,
  parent text,
  correlation text not null,
  actor text not null,
  started timestamptz not null,
  finished timestamptz,
  exit integer,
  phases text not null default '[]',
  report text,
  checkpoint text,
  error text
);
create index run_by_state on lockstep_control.run (id) where state = 'running';
create index run_by_plan on lockstep_control.run (plan) where plan is not null;

-- A plan is written in one transaction: what can be seen is whole and never changes, but for its use.
create table lockstep_control.plan (
  id text primary key,
  sync text,
  items bigint not null,
  hash text not null,
  header text not null,
  used_by text,
  used_at timestamptz
);

create table lockstep_control.plan_chunk (
  plan text not null references lockstep_control.plan on delete cascade deferrable initially deferred,
  first bigint not null,
  last bigint not null,
  keys bytea not null,
  body bytea not null,
  primary key (plan, first)
);
alter table lockstep_control.plan_chunk alter column keys set storage external, alter column body set storage external;

create table lockstep_control.step (
  run text not null references lockstep_control.run on delete cascade,
  step bigint not null,
  plan text not null references lockstep_control.plan,
  state text not null default 'intended' check (state in ('intended', 'done', 'rolled_back')),
  items int8multirange not null,
  -- of a step that was rolled back: the items whose outcome is final all the same
  final int8multirange,
  counts text not null default '{}',
  intended_at timestamptz not null,
  settled_at timestamptz,
  primary key (run, step)
);
create index step_by_plan on lockstep_control.step (plan);
create index step_open on lockstep_control.step (run) where state = 'intended';

-- Outcomes that are not plain "applied as planned".
create table lockstep_control.outcome_chunk (
  run text not null,
  step bigint not null,
  part integer not null,
  first bigint not null,
  last bigint not null,
  body bytea not null,
  primary key (run, step, part),
  foreign key (run, step) references lockstep_control.step on delete cascade
);
alter table lockstep_control.outcome_chunk alter column body set storage external;

create table lockstep_control.difference_set (
  run text primary key references lockstep_control.run on delete cascade,
  pairs text not null
);

create table lockstep_control.difference_chunk (
  run text not null references lockstep_control.difference_set on delete cascade,
  first bigint not null,
  last bigint not null,
  -- index into the set's pairs
  pair integer not null,
  -- kinds that occur in it: 1 only_in_source, 2 only_in_target, 4 different
  kinds integer not null,
  keys bytea not null,
  body bytea not null,
  primary key (run, first)
);
alter table lockstep_control.difference_chunk alter column keys set storage external, alter column body set storage external;
