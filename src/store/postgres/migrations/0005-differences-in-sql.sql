-- Differences of syncs as plain rows. Each stands from the comparison that first found it to the first one that did not,
-- so that what does not change costs nothing, however often it is compared.
create table lockstep_control.comparison (
  run text primary key,
  sync text not null,
  -- 1, 2, 3, … within a sync
  no bigint not null,
  compared_at timestamptz not null,
  verdict text not null check (verdict in ('agrees', 'differs', 'incomplete')),
  complete boolean not null,
  -- the pairs that were compared; null: all of the sync
  pairs text[],
  new_rows bigint not null,
  modified_rows bigint not null,
  deleted_rows bigint not null,
  -- false: there were too many differences; rows are still those of the comparison before
  shown boolean not null,
  unique (sync, no)
);

create table lockstep_control.difference_row (
  sync text not null,
  pair text not null,
  target_table text not null,
  kind text not null check (kind in ('only_in_source', 'only_in_target', 'different')),
  -- of everything that is shown of it
  digest bytea not null,
  key jsonb not null,
  cells jsonb not null,
  first_no bigint not null,
  first_run text not null,
  first_at timestamptz not null,
  -- the first comparison that did not find it any more
  gone_no bigint,
  gone_run text,
  gone_at timestamptz
);
create unique index difference_row_now on lockstep_control.difference_row (sync, pair, digest) where gone_no is null;
create index difference_row_gone on lockstep_control.difference_row (sync, gone_no) where gone_no is not null;

-- The views are a public contract: columns are only ever added, at the end.

create view lockstep_control.comparisons as
select run, sync, compared_at, verdict, complete, pairs, new_rows, modified_rows, deleted_rows, shown,
       no = max(no) filter (where shown) over (partition by sync) as latest
from lockstep_control.comparison;

create view lockstep_control.difference_history as
select sync, pair, pair as source_table, target_table,
       case kind when 'only_in_source' then 'new' when 'different' then 'modified' else 'deleted' end as change,
       kind, key, cells, first_run as detected_run, first_at as detected_at, gone_run, gone_at
from lockstep_control.difference_row
where gone_no is null or gone_no > first_no;

create view lockstep_control.differences as
select d.sync, d.pair, d.pair as source_table, d.target_table,
       case d.kind when 'only_in_source' then 'new' when 'different' then 'modified' else 'deleted' end as change,
       d.kind, d.key, d.cells, c.run, c.compared_at, d.first_run as detected_run, d.first_at as detected_at
from lockstep_control.difference_row d
cross join lateral (
  select run, compared_at from lockstep_control.comparison c
  where c.sync = d.sync and c.shown and (c.pairs is null or d.pair = any (c.pairs))
  order by c.no desc limit 1) c
where d.gone_no is null;

create view lockstep_control.run_differences as
select c.run, c.compared_at, d.sync, d.pair, d.pair as source_table, d.target_table,
       case d.kind when 'only_in_source' then 'new' when 'different' then 'modified' else 'deleted' end as change,
       d.kind, d.key, d.cells, d.first_run as detected_run, d.first_at as detected_at, d.gone_run, d.gone_at
from lockstep_control.comparison c
join lockstep_control.difference_row d
  on d.sync = c.sync and d.first_no <= c.no and (d.gone_no is null or d.gone_no > c.no)
 and (c.pairs is null or d.pair = any (c.pairs))
where c.shown;

comment on view lockstep_control.differences is 'What differs between the two sides of each sync, as of its last comparison';
comment on view lockstep_control.run_differences is 'What each comparison found';
comment on view lockstep_control.difference_history is 'Each difference, from the comparison that found it to the one that did not any more';
comment on view lockstep_control.comparisons is 'The comparisons that the other views are made of';
