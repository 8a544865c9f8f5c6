-- What keeps answers of a database keeps them under a generation. Each write of ours begins a new one before the write is
-- answered, so that what was read before it is not found any more.
--   server  the identity of a database server
--   '*'     begun by every write: for what is read from a server whose identity is not known
--   '?'     begun by writes to a server whose identity is not known: for what is read from any
create table lockstep_control.cache_generation (
  server text primary key,
  generation uuid not null
);
-- from the beginning, so that no two stores have the same
insert into lockstep_control.cache_generation (server, generation)
  values ('*', pg_catalog.gen_random_uuid()), ('?', pg_catalog.gen_random_uuid());
-- Writes of records under way: nothing is kept meanwhile. One that never ended counts until its time is over.
create table lockstep_control.cache_writing (
  id uuid primary key,
  server text not null,
  until timestamptz not null
);

create function lockstep_control.cache_outdate(written text) returns void language sql as $$
  insert into lockstep_control.cache_generation (server, generation)
  select s, pg_catalog.gen_random_uuid()
  from (values ('*'), (case when written is null or written like 'at %' then '?' else written end)) as v (s)
  order by s
  on conflict (server) do update set generation = excluded.generation;
$$;

create function lockstep_control.cache_outdate_step() returns trigger language plpgsql as $$
declare
  written text;
begin
  -- of a two-way sync either side may be written
  select case when h->>'mode' is distinct from 'two_way' then h->'fingerprint'->>'server' end into written
    from (select p.header::jsonb as h from lockstep_control.plan p where p.id = new.plan) as plan;
  perform lockstep_control.cache_outdate(written);
  return null;
end $$;
-- the intent before a step is written, and its end
create trigger cache_outdate after insert or update of state on lockstep_control.step
  for each row execute function lockstep_control.cache_outdate_step();

create function lockstep_control.cache_outdate_run() returns trigger language plpgsql as $$
begin
  perform lockstep_control.cache_outdate(pg_catalog.jsonb_extract_path_text(new.target::jsonb, 'fingerprint', 'server'));
  return null;
end $$;
-- A copy fills tables without steps. So does a sync that migrates, until its tables are there: it has no plan, and what
-- it has begun stands in its checkpoint.
create trigger cache_outdate after update of state, checkpoint on lockstep_control.run
  for each row when (
    (new.kind = 'copy' or (new.kind = 'sync' and new.plan is null and new.checkpoint is not null))
    and (new.state is distinct from old.state or new.checkpoint is distinct from old.checkpoint))
  execute function lockstep_control.cache_outdate_run();
