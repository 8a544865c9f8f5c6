-- Images of a chunk's changes stand apart from what a batch is written with; the seal is what the stored bytes hash to.
alter table lockstep_control.plan_chunk add column images bytea;
alter table lockstep_control.plan_chunk alter column images set storage external;
alter table lockstep_control.plan add column seal text;
