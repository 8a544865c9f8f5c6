import type { Cancel } from '../../model/cancel.ts';
import type { Changes, Reader, Unable } from '../../model/reader.ts';
import type { Text } from '../../model/row.ts';
import { type TableName, tableLabel } from '../../model/schema.ts';
import type { SelectedColumn, Selection } from '../../model/selected.ts';
import { id, literal, tableId } from '../sql/quote.ts';
import { rowsOf } from './rows-of.ts';
import type { Session, StatementOptions } from './session.ts';

/** A snapshot as it is kept: transaction numbers with their epochs (64 bits), and what they hold for. */
interface Mark {
  /** The oldest transaction that was running when the snapshot was taken. */
  readonly xmin: string;
  /** The next number to be given out. */
  readonly next: string;
  readonly started: string;
  readonly timeline: string;
  /** The table and its partitions, its columns with what they are made of, and what computes the generated ones. */
  readonly relation: string;
}

/** The same of this snapshot, and where its transaction counts ages from. */
interface Now extends Mark {
  readonly three: string;
}

/** The timeline that a primary writes; NULL on a standby. */
const timelineSql = `case when pg_catalog.pg_is_in_recovery() then null
            else pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) end`;

/**
 * The columns of a table and the types they are made of, by the numbers that a column, an attribute or a label never has
 * again: dropping a column and adding it with a default, or renaming a label, changes what rows show and writes none.
 */
const typesSql = `
with recursive parts(oid) as (
  select c.reltype
  union
  select x.oid from parts p join pg_catalog.pg_type t on t.oid = p.oid cross join lateral (
    select a.atttypid from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    union all select r.rngsubtype from pg_catalog.pg_range r where t.oid in (r.rngtypid, r.rngmultitypid)
    union all select e from (values (t.typelem), (t.typbasetype)) v(e) where e <> 0) x(oid)
)
select p.oid::text,
       coalesce((select pg_catalog.string_agg(a.attnum || ' ' || a.atttypid || ' ' || a.atttypmod, ',' order by a.attnum)
                 from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped), '')
       || coalesce((select pg_catalog.string_agg(e.enumlabel, ',' order by e.oid) from pg_catalog.pg_enum e where e.enumtypid = p.oid), '') as made
from parts p join pg_catalog.pg_type t on t.oid = p.oid`;

const factsSql = `
select pg_catalog.pg_snapshot_xmin(s.s)::text, pg_catalog.pg_snapshot_xmax(s.s)::text, pg_catalog.age('3'::pg_catalog.xid)::text,
       pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::text,
       ${timelineSql},
       c.relkind::text, pg_catalog.row_security_active(c.oid)::text,
       (select pg_catalog.bool_and(coalesce(p.relkind in ('r', 'm') and m.amname = 'heap', false))::text
        from pg_catalog.pg_class p left join pg_catalog.pg_am m on m.oid = p.relam
        where p.relkind <> 'p' and (p.oid = c.oid or p.oid in (select relid from pg_catalog.pg_partition_tree(c.oid)))),
       c.oid::text || coalesce((select ':' || pg_catalog.string_agg(relid::pg_catalog.oid::text, ',' order by relid::pg_catalog.oid)
                                from pg_catalog.pg_partition_tree(c.oid)), '')
       || coalesce((select ':' || pg_catalog.md5(pg_catalog.string_agg(a.attnum || pg_catalog.pg_get_expr(d.adbin, d.adrelid), ';' order by a.attnum))
                    from pg_catalog.pg_attribute a join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                    where a.attrelid = c.oid and a.attgenerated <> ''), '')
       || ':' || (select pg_catalog.md5(pg_catalog.string_agg(p.oid || p.made, ';' order by p.oid)) from (${typesSql}) p)
from pg_catalog.pg_class c cross join (select pg_catalog.pg_current_snapshot() as s) s
where c.oid = pg_catalog.to_regclass($1)`;

const kinds: Readonly<Record<string, string>> = { v: 'a view', f: 'a foreign table' };

/** `age` counts back at most half of the ring that transaction numbers of 32 bits go round. */
const farthest = 2n ** 31n;

/**
 * Rows written by a transaction that a snapshot did not see: those whose number is not before the oldest one that was
 * running then (a later one may have committed earlier; numbers of subtransactions are greater than their parent's).
 * `xmin` shows 32 bits of the number and keeps them when the row is frozen, and `age` counts back from a number that
 * stays the same for a transaction (`three`: the age of number 3), so it is exact for every row written since; a row
 * that is older by the whole ring may be shown, too. Undefined: the mark is too far away.
 */
export const writtenSince = (xmin: bigint, next: bigint, three: bigint): string | undefined => {
  const latest = next + BigInt.asUintN(32, 3n + three - next);
  const back = latest - xmin;
  return xmin > next || back >= farthest ? undefined : `pg_catalog.age(xmin) between 0 and ${back}`;
};

/** A canonical value of the column in SQL. */
const valueSql = ({ as }: SelectedColumn, value: Text): string => {
  switch (as.kind) {
    case 'instant':
      return `${literal(`${value} +00`)}::pg_catalog.timestamptz`;
    case 'timestamp':
      return `${literal(value)}::pg_catalog.timestamp`;
    case 'date':
      return `${literal(value)}::pg_catalog.date`;
    default:
      return `${literal(value)}::pg_catalog.int8`;
  }
};

export const changesOf = (x: {
  readonly session: Session;
  readonly scan: Reader['scan'];
  readonly statement: (selection: Selection, doing: string, o: Cancel) => StatementOptions;
}): Changes => {
  const { session } = x;
  const known = new Map<string, Promise<Now | Unable>>();
  const at = (table: TableName, doing: string, o: Cancel) => x.statement({ table, columns: [], keyWidth: 0 }, doing, o);

  const facts = async (table: TableName, o: Cancel): Promise<Now | Unable> => {
    const asked = at(table, 'asking for the transactions of', o);
    const [row] = await session.query(factsSql, [tableId(table)], asked);
    const [xmin, next, three, started, timeline, kind, secured, heap, relation] = row ?? [];
    const label = tableLabel(table);
    if (kind == null) return { unable: `there is no table ${label}` };
    if (kinds[kind] !== undefined) return { unable: `${label} is ${kinds[kind]}, whose rows have no xmin` };
    if (heap !== 'true') return { unable: `${label}, or a part of it, is not kept by PostgreSQL's own storage` };
    if (secured === 'true') return { unable: `row security hides rows of ${label} from this user` };
    return {
      xmin: xmin!,
      three: three!,
      next: next!,
      started: started!,
      timeline: timeline ?? (await replayed(asked)),
      relation: relation!,
    };
  };

  /** The timeline that a standby follows. */
  const replayed = async (asked: StatementOptions): Promise<string> => {
    const [may] = await session.query(
      `select pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'execute')::text`,
      undefined,
      asked,
    );
    if (may![0] !== 'true') return 'standby';
    const [row] = await session.query(
      'select timeline_id::text from pg_catalog.pg_control_checkpoint()',
      undefined,
      asked,
    );
    return `standby ${row![0]}`;
  };

  const markOf = (table: TableName, o: Cancel): Promise<Now | Unable> => {
    const name = tableId(table);
    let found = known.get(name);
    if (!found) {
      found = facts(table, o);
      known.set(name, found);
      found.catch(() => known.delete(name));
    }
    return found;
  };

  const keys = (selection: Selection, filter: string, o: Cancel) =>
    x.scan({ ...selection, filter }, { kind: 'all' }, o);

  return {
    version: {
      name: 'xmin',
      mark: async (table, o) => {
        const mark = await markOf(table, o);
        if ('unable' in mark) return mark;
        const { three: _, ...kept } = mark;
        return JSON.stringify(kept satisfies Mark);
      },
      since: async (selection, text, o) => {
        const now = await markOf(selection.table, o);
        if ('unable' in now) return now;
        const then = JSON.parse(text) as Mark;
        const label = tableLabel(selection.table);
        if (then.timeline !== now.timeline)
          return { unable: 'the server was promoted or restored since: its transaction numbers mean others' };
        if (then.started !== now.started)
          return { unable: 'the server was started since: it may have given numbers of lost transactions again' };
        if (then.relation !== now.relation)
          return { unable: `${label} is another table now, has other partitions or computes its columns anew` };
        if (BigInt(now.next) < BigInt(then.next)) return { unable: 'the server has gone back to an earlier state' };
        const condition = writtenSince(BigInt(then.xmin), BigInt(now.next), BigInt(now.three));
        if (condition === undefined) return { unable: 'more than two billion transactions lie between' };
        return keys(selection, condition, o);
      },
    },
    columns: {
      latest: async (table, column, o) => {
        const instant = column.as.kind === 'instant';
        const value = instant ? `(x.v at time zone 'UTC')` : 'x.v';
        const [row] = await session.query(
          `select ${value}::pg_catalog.text, (pg_catalog.now() at time zone 'UTC')::pg_catalog.text, ${timelineSql},
                  (select c.oid::text || ' ' || pg_catalog.md5(pg_catalog.string_agg(p.oid || p.made, ';' order by p.oid))
                   from pg_catalog.pg_class c cross join lateral (${typesSql}) p where c.oid = pg_catalog.to_regclass($1) group by c.oid)
           from (select pg_catalog.max(t.${id(column.name)}) as v from ${rowsOf(table)} as t) as x`,
          [tableId(table)],
          at(table, `asking for the latest ${column.name} of`, o),
        );
        return {
          value: row![0] as Text | null,
          ...(column.as.kind === 'int' ? {} : { now: row![1] as Text }),
          history: `${row![2] ?? ''} ${row![3]}`,
        };
      },
      since: (selection, column, from, o) =>
        keys(selection, `${id(column.name)} >= ${valueSql(column, from)} or ${id(column.name)} is null`, o),
    },
  };
};
