-- Runs that are asked for and carried out by workers. The queue itself lives in the schema lockstep_queue.

alter table lockstep_control.run
  drop constraint run_kind_check,
  add constraint run_kind_check
    check (kind in ('diff', 'plan', 'apply', 'sync', 'verify', 'revert', 'copy', 'assess', 'backup')),
  drop constraint run_state_check,
  add constraint run_state_check check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
  -- what was asked for; null: begun by hand, and carried out by who asked
  add column requested text,
  add column trigger text check (trigger in ('api', 'schedule', 'after', 'cli')),
  add column idempotency text,
  add column asked_at timestamptz,
  -- runs of one lane wait for each other: a sync's, or those of one plan
  add column lane text,
  -- who takes it over counts up: what an earlier process still wants to write down is refused
  add column attempt integer not null default 0,
  -- how often a process has died of it, or with it, since it last made headway
  add column deaths integer not null default 0,
  add column worker text,
  -- last sign of life of the process that is at work on it
  add column seen_at timestamptz,
  add column cancel_requested timestamptz,
  add column cancelled_by text;

create unique index run_by_idempotency on lockstep_control.run (actor, idempotency) where idempotency is not null;
create index run_at_work on lockstep_control.run (id) where requested is not null and state in ('queued', 'running');
create index run_by_sync on lockstep_control.run (sync, id) where sync is not null;

-- A sync that is not here is not paused.
create table lockstep_control.sync_state (
  sync text primary key,
  paused_by text,
  paused_at timestamptz
);

create table lockstep_control.schedule (
  sync text primary key,
  -- the rule that `next` was made by, as JSON
  rule text not null,
  -- on the rule's own grid, without jitter
  due timestamptz,
  next timestamptz,
  last_due timestamptz,
  last_fired timestamptz,
  last_run text,
  -- of a sync that follows another: the run that it followed last
  last_after text
);

-- Numbers are given under a lock that is held until the commit: they become visible in their order.
create table lockstep_control.event (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  type text not null,
  subject text not null,
  sync text,
  correlation text,
  data text not null
);
create index event_by_age on lockstep_control.event (at);

create function lockstep_control.add_events(
  at timestamptz[], type text[], subject text[], sync text[], correlation text[], data text[]
) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(7017282395);
  insert into lockstep_control.event (at, type, subject, sync, correlation, data)
  select x.* from unnest(at, type, subject, sync, correlation, data) as x;
  perform pg_notify('lockstep_event', '');
end $$;
