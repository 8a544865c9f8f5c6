-- Who agreed to a plan, and to which bytes of it.
create table lockstep_control.plan_approval (
  plan text not null references lockstep_control.plan on delete cascade,
  actor text not null,
  hash text not null,
  at timestamptz not null,
  comment text,
  primary key (plan, actor)
);

-- Random bytes that all processes of this store share: what one of them signs the others know.
create table lockstep_control.secret (
  name text primary key,
  value bytea not null
);
