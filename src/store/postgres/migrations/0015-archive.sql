-- What both sides of a two-way pair agreed on last. One row here per archive.
create table lockstep_control.archive (
  n integer primary key generated always as identity,
  id text not null unique,
  sync text not null,
  pair text not null,
  -- stands for all that decides what a row of the archive means
  settings text not null,
  -- what the hashes of both sides are made with: an unsigned number, and the form of bytes
  seed text not null,
  form text not null check (form in ('bytes', 'hex')),
  integer_key boolean not null,
  -- when the first comparison had been taken in as a whole; null: not yet
  completed timestamptz,
  unique (sync, pair, settings)
);

-- By which run and when rows were agreed: said once for all of them.
create table lockstep_control.archive_stamp (
  n integer primary key generated always as identity,
  archive integer not null references lockstep_control.archive (n) on delete cascade,
  run text not null,
  -- milliseconds since 1970
  at bigint not null,
  unique (archive, run, at)
);

-- Rows of an archive. Always empty: those of archive n are in archive_row_n, made like this one, so that they are read
-- and forgotten as a whole.
create table lockstep_control.archive_row (
  key_hash bigint not null,
  source_hash bigint not null,
  target_hash bigint not null,
  -- a key of one integer; any other is in `key`, as bytes in the order of keys (see src/model/key-bytes.ts)
  k bigint,
  stamp integer not null,
  key bytea,
  -- what follows the key: a JSON array, an object with a hash in place of a value that is not kept
  cells text not null,
  -- where the target's are not the same
  target_cells text,
  check ((k is null) <> (key is null))
) with (fillfactor = 90);
create unique index on lockstep_control.archive_row (k) where k is not null;
-- a key may be longer than an index takes
create index on lockstep_control.archive_row (substring(key, 1, 1000)) where k is null;
