-- Requests to write records, by their idempotency keys.
create table lockstep_control.record_request (
  actor text not null,
  key text not null,
  hash text not null,
  record text,
  begun timestamptz not null default clock_timestamp(),
  -- as text: what comes out is what went in
  answer text,
  primary key (actor, key)
);
create index record_request_begun on lockstep_control.record_request (begun);
