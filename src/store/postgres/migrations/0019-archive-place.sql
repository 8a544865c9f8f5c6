-- Where the rows of an archive are: the databases, tables and key. Of another archive of the same ones it is known which
-- keys it had, whatever else of it means something else. Null: of before this was kept.
alter table lockstep_control.archive add column place text;
