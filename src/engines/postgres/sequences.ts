import type { Table } from '../../model/schema.ts';
import { id, tableId } from '../sql/quote.ts';
import type { Session, StatementOptions } from './session.ts';

const ofColumn = `
select distinct n.nspname, s.relname, q.seqincrement::text
from pg_catalog.pg_depend d
join pg_catalog.pg_attribute a on a.attrelid = pg_catalog.to_regclass($1) and a.attname = $2
left join pg_catalog.pg_attrdef def on def.adrelid = a.attrelid and def.adnum = a.attnum
join pg_catalog.pg_class s on s.relkind = 'S' and (
     (d.classid = 'pg_catalog.pg_class'::regclass and d.objid = s.oid and d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.deptype in ('a', 'i'))
  or (d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = def.oid and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = s.oid))
join pg_catalog.pg_namespace n on n.oid = s.relnamespace
join pg_catalog.pg_sequence q on q.seqrelid = s.oid`;

/** Moves what fills a column past the column's greatest value; a sequence that is there already is left alone. */
export const advanceSequence = async (
  session: Session,
  table: Table,
  column: string,
  o: StatementOptions,
): Promise<void> => {
  const sequences = await session.query(ofColumn, [tableId(table), column], o);
  for (const [schema, name, increment] of sequences) {
    const sequence = `${id(schema!)}.${id(name!)}`;
    const down = increment!.startsWith('-');
    const edge = `(select pg_catalog.${down ? 'min' : 'max'}(${id(column)})::pg_catalog.int8 from ${tableId(table)})`;
    // one statement reads and sets, so that a value drawn meanwhile is not taken back
    await session.query(
      `select pg_catalog.setval($1::pg_catalog.regclass, e.edge) from (select ${edge} as edge) e, ${sequence} s, pg_catalog.pg_sequence q
       where q.seqrelid = $1::pg_catalog.regclass and e.edge between q.seqmin and q.seqmax
         and (e.edge ${down ? '<' : '>'} s.last_value or (e.edge = s.last_value and not s.is_called))`,
      [sequence],
      o,
    );
  }
};
