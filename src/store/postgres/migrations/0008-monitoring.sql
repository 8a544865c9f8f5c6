-- What monitoring and alerts go by. Facts of a run are written with its end, by whichever process ends it.

create table lockstep_control.run_fact (
  run text primary key references lockstep_control.run on delete cascade,
  sync text,
  kind text not null,
  state text not null check (state in ('done', 'failed', 'cancelled')),
  exit integer not null,
  correlation text not null,
  code text,
  message text,
  verdict text,
  started timestamptz not null,
  finished timestamptz not null,
  rows bigint not null default 0,
  found bigint not null default 0,
  created bigint not null default 0,
  updated bigint not null default 0,
  deleted bigint not null default 0,
  already bigint not null default 0,
  skipped bigint not null default 0,
  failed bigint not null default 0,
  conflicts bigint not null default 0,
  quarantined bigint not null default 0
);
create index run_fact_of_sync on lockstep_control.run_fact (sync, kind, finished desc);
create index run_fact_finished on lockstep_control.run_fact (finished);

-- Runs of earlier versions, as far as their rows say it.
insert into lockstep_control.run_fact (run, sync, kind, state, exit, correlation, started, finished)
select id, sync, kind, state, coalesce(exit, 1), correlation, started, finished
from lockstep_control.run where state in ('done', 'failed', 'cancelled') and finished is not null;

-- The last comparison of each pair.
create table lockstep_control.pair_state (
  sync text not null,
  pair text not null,
  target text not null,
  run text not null,
  at timestamptz not null,
  first_at timestamptz not null,
  verified_at timestamptz,
  complete boolean not null,
  rows_source bigint not null,
  rows_target bigint not null,
  only_in_source bigint not null,
  only_in_target bigint not null,
  different bigint not null,
  left_over bigint not null,
  primary key (sync, pair)
);

-- Comparisons of a pair that came to the same, less than a minute apart, are one row: schedules of seconds stay small.
create table lockstep_control.proof (
  sync text not null,
  pair text not null,
  first timestamptz not null,
  last timestamptz not null,
  agrees boolean not null,
  drift double precision,
  comparisons bigint not null default 1,
  primary key (sync, pair, first)
);

-- Numbers that only grow, over all processes.
create table lockstep_control.total (
  metric text not null,
  -- JSON object, its names sorted
  labels text not null,
  value double precision not null,
  primary key (metric, labels)
);

-- Business metrics, one row per run.
create table lockstep_control.measure (
  run text not null references lockstep_control.run on delete cascade,
  metric text not null,
  sync text not null,
  at timestamptz not null,
  value numeric not null,
  primary key (run, metric)
);
create index measure_by_time on lockstep_control.measure (at);

-- Over all runs, so that nobody needs to add them up.
create table lockstep_control.measure_total (
  metric text not null,
  sync text not null,
  runs bigint not null,
  sum numeric not null,
  last numeric not null,
  last_at timestamptz not null,
  primary key (metric, sync)
);

-- What each process saw of its endpoints lately.
create table lockstep_control.endpoint_sample (
  process text not null,
  endpoint text not null,
  at timestamptz not null,
  count bigint not null,
  failed bigint not null,
  p95 double precision not null,
  breaker text not null,
  primary key (process, endpoint)
);

create table lockstep_control.alert (
  id text primary key,
  rule text not null,
  -- what it is about: syncs/licences, endpoints/crm, queue
  subject text not null,
  sync text,
  severity text not null check (severity in ('info', 'warning', 'critical')),
  state text not null check (state in ('pending', 'firing', 'resolved')),
  since timestamptz not null,
  fired timestamptz,
  resolved timestamptz,
  summary text not null,
  detail text not null,
  command text not null,
  value double precision,
  -- channels; null: all
  send text[],
  notified timestamptz,
  acked_at timestamptz,
  acked_by text,
  ack_note text
);
create unique index alert_open on lockstep_control.alert (rule, subject) where state <> 'resolved';
create index alert_by_time on lockstep_control.alert (since desc);

create table lockstep_control.alert_silence (
  id text primary key,
  rule text,
  sync text,
  subject text,
  until timestamptz not null,
  reason text not null,
  made_by text not null,
  made_at timestamptz not null
);

-- One message to one channel. Its id is the same each time it is tried.
create table lockstep_control.alert_delivery (
  id text primary key,
  channel text not null,
  state text not null check (state in ('waiting', 'sent', 'failed')),
  alerts text[] not null,
  body text not null,
  made_at timestamptz not null,
  attempts integer not null default 0,
  next_at timestamptz,
  -- whoever sends it holds it until then
  held_until timestamptz,
  sent_at timestamptz,
  error text
);
create index alert_delivery_waiting on lockstep_control.alert_delivery (next_at) where state = 'waiting';

-- Whose turn it is to evaluate: one process at a time, and one that was stopped for a while cannot write late.
create table lockstep_control.alert_turn (
  one boolean primary key default true check (one),
  turn bigint not null,
  at timestamptz not null,
  process text not null
);
insert into lockstep_control.alert_turn (turn, at, process) values (0, 'epoch', '');
