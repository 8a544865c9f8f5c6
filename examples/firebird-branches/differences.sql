-- What differs now, in which cells, and since when.
select change, source_table, key, cells, detected_at
from lockstep_control.differences
where sync = 'branches'
order by change, source_table, key;
