import type { Cancel } from '../../model/cancel.ts';
import { timestampText } from '../../model/canon/timestamp.ts';
import type { Changes, Reader, Unable } from '../../model/reader.ts';
import type { Text } from '../../model/row.ts';
import { type TableName, tableLabel } from '../../model/schema.ts';
import type { SelectedColumn, Selection } from '../../model/selected.ts';
import { id, literal } from '../sql/quote.ts';
import type { Session, StatementOptions } from './session.ts';

/** A snapshot as it is kept. */
interface Mark {
  /** The oldest transaction that was active when the snapshot began, or an older one. */
  readonly oldest: string;
  /** The snapshot's own number. */
  readonly own: string;
  /** The table's number, and of each column the number that no other one gets, and what computes it. */
  readonly relation: string;
}

const relationSql = (table: string): string => `
select cast(r.rdb$relation_id || '.' || coalesce(r.rdb$format, 0) as varchar(40)), cast(rf.rdb$field_id as varchar(10)),
       case when f.rdb$computed_blr is null then '' else cast(hash(f.rdb$computed_blr) as varchar(30)) end,
       upper(coalesce(cast(substring(f.rdb$computed_source from 1 for 4000) as varchar(4000)), '')),
       trim(rf.rdb$field_name)
from rdb$relations r join rdb$relation_fields rf on rf.rdb$relation_name = r.rdb$relation_name
join rdb$fields f on f.rdb$field_name = rf.rdb$field_source
where r.rdb$relation_name = ${literal(table)} order by rf.rdb$field_id`;

/** Words of an expression that looks beyond its row: its value changes though the row is not written. */
const beyondRow =
  /\b(SELECT|CURRENT_\w+|LOCALTIME\w*|NOW|TODAY|TOMORROW|YESTERDAY|USER|GEN_ID|NEXT|RAND|GEN_UUID|RDB\$GET_CONTEXT)\b/;

/**
 * What the monitoring tables say of this transaction was noted when it began: `mon$oldest_active` of `mon$database` would
 * already leave out one that was active then and has committed since, whose rows are not in this snapshot.
 */
const markSql = `
select cast(t.mon$oldest_active as varchar(20)), cast(t.mon$transaction_id as varchar(20))
from mon$transactions t where t.mon$transaction_id = current_transaction`;

/** A canonical value in SQL; seconds have four digits, and cutting the rest looks a little further back. */
const valueSql = ({ stored }: SelectedColumn, value: Text): string => {
  switch (stored.kind) {
    case 'date':
      return `cast(${literal(value)} as date)`;
    case 'int':
      return `cast(${literal(value)} as bigint)`;
    default:
      return `cast(${literal(value.slice(0, 24))} as timestamp)`;
  }
};

export const changesOf = (x: {
  readonly session: Session;
  readonly scan: Reader['scan'];
  readonly isView: (selection: Selection, o: Cancel) => Promise<boolean>;
  readonly statement: (selection: Selection, doing: string, o: Cancel) => StatementOptions;
}): Changes => {
  let known: Promise<Omit<Mark, 'relation'>> | undefined;
  const asking = (table: TableName, o: Cancel): StatementOptions =>
    x.statement({ table, columns: [], keyWidth: 0 }, 'asking for the transactions of', o);

  const transactionsNow = (table: TableName, o: Cancel): Promise<Omit<Mark, 'relation'>> => {
    known ??= x.session.query(markSql, asking(table, o)).then(([row]) => {
      const [oldest, own] = row as readonly string[];
      return { oldest: oldest!.trim(), own: own!.trim() };
    });
    known.catch(() => {
      known = undefined;
    });
    return known;
  };
  const markNow = async (table: TableName, o: Cancel): Promise<Mark | Unable> => {
    const rows = (await x.session.query(relationSql(table.name), asking(table, o))).map((row) => row.map(String));
    const beyond = rows.find(([, , , source]) => beyondRow.test(source!));
    if (beyond !== undefined) return { unable: `${tableLabel(table)}.${beyond[4]} is computed from more than its row` };
    const relation = rows.map(([id, field, computed]) => `${id}.${field}.${computed}`).join(' ');
    return { ...(await transactionsNow(table, o)), relation };
  };
  const unable = async (table: TableName, o: Cancel): Promise<Unable | undefined> =>
    (await x.isView({ table, columns: [], keyWidth: 0 }, o))
      ? { unable: `${tableLabel(table)} is a view, whose rows have no version` }
      : undefined;
  const keys = (selection: Selection, filter: string, o: Cancel) =>
    x.scan({ ...selection, filter }, { kind: 'all' }, o);

  return {
    version: {
      name: 'record_version',
      mark: async (table, o) => {
        const not = await unable(table, o);
        if (not !== undefined) return not;
        const mark = await markNow(table, o);
        return 'unable' in mark ? mark : JSON.stringify(mark);
      },
      since: async (selection, text, o) => {
        const not = await unable(selection.table, o);
        if (not !== undefined) return not;
        const then = JSON.parse(text) as Mark;
        const now = await markNow(selection.table, o);
        if ('unable' in now) return now;
        if (then.relation !== now.relation)
          return { unable: `${tableLabel(selection.table)} is another table now, or was altered` };
        // A backup that is restored in place begins its numbers again.
        if (BigInt(now.own) <= BigInt(then.own))
          return { unable: 'the database has gone back to an earlier state, or was restored: its numbers began again' };
        return keys(selection, `rdb$record_version >= ${BigInt(then.oldest)}`, o);
      },
    },
    columns: {
      latest: async (table, column, o) => {
        const c = id(column.name);
        const filter = `${c} = (select max(${c}) from ${id(table.name)})`;
        const [row] = await x.session.query(
          `select cast(current_timestamp as varchar(30)) from rdb$database`,
          asking(table, o),
        );
        const now = timestampText(String(row![0]).trim());
        for await (const [found] of x.scan({ table, columns: [column], keyWidth: 1, filter }, { kind: 'all' }, o)) {
          if (found === undefined) continue;
          const value = found[0]!;
          return column.as.kind === 'int' || now === undefined ? { value } : { value, now: now as Text };
        }
        return { value: null };
      },
      since: (selection, column, from, o) =>
        keys(selection, `${id(column.name)} >= ${valueSql(column, from)} or ${id(column.name)} is null`, o),
    },
  };
};
