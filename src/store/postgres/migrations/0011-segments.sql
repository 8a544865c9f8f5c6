-- A pair that is compared by several workers at once, in ranges of its key. Rows are here only while that goes on.
create table lockstep_control.segment_set (
  -- new each time a pair is cut: what was begun of an earlier cut does not count in a later one
  id text primary key,
  run text not null references lockstep_control.run (id) on delete cascade,
  pair text not null,
  -- a digest of what is compared: who would compare something else does not take part
  what text not null,
  -- how each segment is compared, and why
  way text not null,
  why text not null,
  -- how many differences of the pair are wanted with their values; null: all
  kept bigint,
  unique (run, pair)
);

create table lockstep_control.segment (
  segment_set text not null references lockstep_control.segment_set (id) on delete cascade,
  -- in key order, from 0
  n integer not null,
  -- {from, to}
  bounds text not null,
  -- rises each time it is taken: what an earlier attempt still writes does not count
  attempt integer not null default 0,
  -- how often it was taken from a worker that had died: what costs too many is not tried again
  deaths integer not null default 0,
  -- who is at it; its lock and its signs of life say whether it still is
  worker text,
  seen_at timestamptz,
  -- what was counted; null: not done
  result text,
  primary key (segment_set, n)
);

-- Differences of segments, as they are found. Those of the attempt that ended its segment count, all at once.
create table lockstep_control.segment_chunk (
  segment_set text not null,
  n integer not null,
  attempt integer not null,
  part integer not null,
  body bytea not null,
  primary key (segment_set, n, attempt, part),
  foreign key (segment_set, n) references lockstep_control.segment (segment_set, n) on delete cascade
);
