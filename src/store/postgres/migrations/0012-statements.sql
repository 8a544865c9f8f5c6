-- Statements that took long lately, from every process. Their values are left out.
create table lockstep_control.statement_sample (
  process text not null,
  at timestamptz not null,
  endpoint text not null,
  sql text not null,
  count bigint not null,
  rows bigint not null,
  total double precision not null,
  p50 double precision not null,
  p95 double precision not null,
  p99 double precision not null,
  max double precision not null
);
create index statement_sample_process on lockstep_control.statement_sample (process);
create index statement_sample_at on lockstep_control.statement_sample (at);
