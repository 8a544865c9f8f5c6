import type { Changes } from '../../model/reader.ts';
import type { Cell, Text } from '../../model/row.ts';
import type { SelectedColumn, Selection } from '../../model/selected.ts';
import { id, literal, tableId } from './quote.ts';
import { render } from './render.ts';
import { rowSink } from './row-sinks.ts';
import type { Rows } from './rows.ts';
import { plainSql } from './select.ts';

/** A canonical value in SQL. Sessions are in UTC, so a TIMESTAMP is compared as it is. */
const valueSql = ({ as }: SelectedColumn, value: Text): string =>
  as.kind === 'int' && /^-?\d+$/.test(value) ? value : literal(value);

/** InnoDB shows nobody the transaction that wrote a row: by a column alone. */
export const changesOf = (rows: Rows): Changes => ({
  columns: {
    latest: async (table, column, o) => {
      const selection: Selection = { table, columns: [column], keyWidth: 0 };
      const [c] = await rows.columns(selection, o);
      const at = rows.statement(selection, `asking for the latest ${column.name} of`, o);
      const name = id(column.name);
      const rendered = render(c!);
      const greatest = `t.${name} = (select max(${name}) from ${tableId(table)})`;
      const sql = `${plainSql(selection, rendered.sql, greatest)} limit 1`;
      let value: Cell = null;
      for await (const found of rows.session.stream(sql, rowSink([rendered], 1), at)) value = found[0]?.[0] ?? null;
      const [row] = await rows.session.query('select utc_timestamp(6)', at);
      return column.as.kind === 'int' ? { value } : { value, now: row![0]!.replace(/\.?0+$/, '') as Text };
    },
    since: (selection, column, from, o) => {
      const name = id(column.name);
      const filter = `${name} >= ${valueSql(column, from)} or ${name} is null`;
      return rows.scan({ ...selection, filter }, { kind: 'all' }, o);
    },
  },
});
