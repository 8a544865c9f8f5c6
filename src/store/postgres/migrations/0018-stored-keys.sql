-- Keys that values of users' rows are encrypted with, each wrapped by a key that is not in the store.
create table lockstep_control.stored_key (
  id text primary key,
  made timestamptz not null default now(),
  -- names the key that wraps it
  wrapped_by text not null,
  wrapped bytea not null,
  -- what is stored from now on is encrypted with this one
  current boolean not null
);
create unique index stored_key_current on lockstep_control.stored_key (current) where current;
