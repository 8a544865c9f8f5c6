import type { ColumnDetails, DefaultValue, IndexDefinition, OtherPart, TableDetails } from '../../model/build.ts';
import { canonical } from '../../model/canon/canonical.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import type { Column, ColumnType, Table } from '../../model/schema.ts';
import { id, tableId } from '../sql/quote.ts';
import type { Session, StatementOptions } from './session.ts';

/** Types, defaults and expressions; a domain is followed down to what it is made of. */
const columns = `
with recursive made_of as (
  select t.oid as top, t.oid as base, t.typtype, t.typbasetype, t.typtypmod, -1 as typmod
  from pg_catalog.pg_type t where t.typtype = 'd'
  union all
  select m.top, b.oid, b.typtype, b.typbasetype, b.typtypmod, case when m.typmod >= 0 then m.typmod else m.typtypmod end
  from made_of m join pg_catalog.pg_type b on b.oid = m.typbasetype where m.typtype = 'd'
), resolved as (select top, base, typmod from made_of where typtype <> 'd')
select a.attname,
       pg_catalog.format_type(coalesce(r.base, a.atttypid), case when r.top is null then a.atttypmod else r.typmod end),
       case when c.collnamespace = 'pg_catalog'::pg_catalog.regnamespace and c.collname <> 'default' then c.collname end,
       case when c.collnamespace <> 'pg_catalog'::pg_catalog.regnamespace then c.oid::pg_catalog.regcollation::text end,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attgenerated,
       case when r.top is not null then pg_catalog.format_type(a.atttypid, a.atttypmod) end
from pg_catalog.pg_attribute a
left join resolved r on r.top = a.atttypid
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_catalog.pg_collation c on c.oid = a.attcollation
where a.attrelid = pg_catalog.to_regclass($1) and a.attnum > 0 and not a.attisdropped`;

const sequences = `
select a.attname, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(s.relname)
from pg_catalog.pg_depend d
join pg_catalog.pg_attribute a on a.attrelid = pg_catalog.to_regclass($1)
left join pg_catalog.pg_attrdef def on def.adrelid = a.attrelid and def.adnum = a.attnum
join pg_catalog.pg_class s on s.relkind = 'S' and (
     (d.classid = 'pg_catalog.pg_class'::regclass and d.objid = s.oid and d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.deptype in ('a', 'i'))
  or (d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = def.oid and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = s.oid))
join pg_catalog.pg_namespace n on n.oid = s.relnamespace`;

/** `plain`: a B-tree over whole columns and nothing else to it. */
const indexes = `
select i.relname, x.indisunique::text,
       (am.amname = 'btree' and not coalesce(k.condeferrable, false)
        and not exists (select from pg_catalog.unnest(x.indoption::int2[]) o(flags) where o.flags <> 0) and x.indexprs is null and x.indpred is null and x.indnatts = x.indnkeyatts
        and not coalesce((pg_catalog.to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false)
        and not exists (select from pg_catalog.unnest(x.indclass) k(opc) join pg_catalog.pg_opclass o on o.oid = k.opc where not o.opcdefault)
        and not exists (select from unnest(x.indkey::int2[], x.indcollation::oid[]) k(num, coll)
                        join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.num where k.coll <> a.attcollation))::text,
       (select pg_catalog.json_agg(a.attname order by k.ord)::text from pg_catalog.unnest(x.indkey::int2[]) with ordinality k(num, ord)
        join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.num),
       pg_catalog.pg_get_indexdef(x.indexrelid), pg_catalog.pg_get_constraintdef(k.oid)
from pg_catalog.pg_index x
join pg_catalog.pg_class i on i.oid = x.indexrelid join pg_catalog.pg_am am on am.oid = i.relam
left join pg_catalog.pg_constraint k on k.conindid = x.indexrelid and k.contype = 'u'
where x.indrelid = pg_catalog.to_regclass($1) and not x.indisprimary and x.indislive and x.indisvalid
  and not exists (select from pg_catalog.pg_constraint k where k.conindid = x.indexrelid and k.contype = 'x')
order by i.relname collate "C"`;

const others = `
select 'check', k.conname, pg_catalog.pg_get_constraintdef(k.oid) from pg_catalog.pg_constraint k
where k.conrelid = pg_catalog.to_regclass($1) and k.contype = 'c'
union all
select 'exclusion', k.conname, pg_catalog.pg_get_constraintdef(k.oid) from pg_catalog.pg_constraint k
where k.conrelid = pg_catalog.to_regclass($1) and k.contype = 'x'
union all
select 'trigger', t.tgname, pg_catalog.pg_get_triggerdef(t.oid) from pg_catalog.pg_trigger t
where t.tgrelid = pg_catalog.to_regclass($1) and not t.tgisinternal
union all
select 'rule', r.rulename, pg_catalog.pg_get_ruledef(r.oid) from pg_catalog.pg_rewrite r
where r.ev_class = pg_catalog.to_regclass($1) and r.rulename <> '_RETURN'
union all
select 'policy', p.polname, null from pg_catalog.pg_policy p where p.polrelid = pg_catalog.to_regclass($1)
union all
select 'partitioning', c.relname, pg_catalog.pg_get_partkeydef(c.oid) from pg_catalog.pg_class c
where c.oid = pg_catalog.to_regclass($1) and c.relkind = 'p'
union all
select 'inheritance', p.relname, null from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent
where i.inhrelid = pg_catalog.to_regclass($1)
order by 1, 2`;

/** Functions that every PostgreSQL has. */
const builtIn =
  /^\(?(gen_random_uuid|uuidv4|uuidv7|random|clock_timestamp|statement_timestamp|localtimestamp|localtime|current_time|current_user|session_user|CURRENT_USER|SESSION_USER|LOCALTIMESTAMP|timezone\('[^']*'::text, now\(\)\))(\(\))?\)?$/;

/** A default as every engine can say it; undefined: only PostgreSQL can. */
const portableDefault = (sql: string, type: ColumnType): DefaultValue | undefined => {
  if (/^(now\(\)|CURRENT_TIMESTAMP(\(\d\))?|transaction_timestamp\(\))$/.test(sql)) return { kind: 'now' };
  if (sql === 'CURRENT_DATE') return { kind: 'today' };
  const number = /^\(?(-?\d+(?:\.\d+)?)\)?(?:::[\w ]+(?:\(\d+(?:,\d+)?\))?)?$/.exec(sql)?.[1];
  const word = /^(true|false)$/.exec(sql)?.[1];
  const quoted = /^'((?:[^']|'')*)'::[\w ."[\]]+(?:\(\d+(?:,\d+)?\))?$/.exec(sql)?.[1]?.replaceAll("''", "'");
  const given = number ?? word ?? quoted;
  if (given === undefined) return builtIn.test(sql) ? { kind: 'native', engine: 'postgres', sql } : undefined;
  const cell = type.kind === 'bytes' ? canonical(type, given.replace(/^\\x/, '')) : canonical(type, given);
  return cell === null || isMisfit(cell) ? undefined : { kind: 'value', cell };
};

/** Where a sequence goes on, and what it has that a plain counter of one column has not. */
const counterOf = async (
  session: Session,
  sequence: string,
  o: StatementOptions,
): Promise<{ readonly next: bigint | undefined; readonly special: string }> => {
  const [row] = await session.query(
    `select (case when s.is_called then s.last_value::pg_catalog.numeric + q.seqincrement else s.last_value end)::text,
            pg_catalog.concat_ws(' ', case when q.seqincrement <> 1 then 'increment ' || q.seqincrement end, case when q.seqcycle then 'cycle' end,
              case when q.seqincrement > 0 and q.seqmax not in (32767, 2147483647, 9223372036854775807) then 'maxvalue ' || q.seqmax end,
              case when not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                    and d.objid = q.seqrelid and d.refobjsubid > 0 and d.deptype in ('a', 'i')) then 'no column''s own' end)
     from ${sequence} s, pg_catalog.pg_sequence q where q.seqrelid = pg_catalog.to_regclass($1)`,
    [sequence],
    o,
  );
  return { next: row?.[0] == null ? undefined : BigInt(row[0]), special: row?.[1] ?? '' };
};

const detailsOf = async (session: Session, table: Table, o: StatementOptions): Promise<TableDetails> => {
  const name = [tableId(table)];
  const positions = new Map<string, bigint>();
  const parts: OtherPart[] = [];
  for (const [column, sequence] of await session.query(sequences, name, o)) {
    const { next, special } = await counterOf(session, sequence!, o);
    if (next !== undefined) positions.set(column!, next);
    if (special !== '') parts.push({ kind: 'sequence', name: `${sequence} (${column})`, definition: special });
  }
  const found = new Map<string, ColumnDetails>();
  const byName = new Map(table.columns.map((c): [string, Column] => [c.name, c]));
  for (const [column, type, collation, ownCollation, sql, generated, domain] of await session.query(columns, name, o)) {
    const known = byName.get(column!);
    if (known === undefined) continue;
    const plain = sql != null && generated === '' && !known.serial;
    const value = plain ? portableDefault(sql, known.type) : undefined;
    const next = positions.get(column!);
    found.set(column!, {
      native: `${type}${collation == null ? '' : ` collate ${id(collation)}`}`,
      ...(sql != null && generated === '' ? { defaultSql: sql } : {}),
      ...(value === undefined ? {} : { default: value }),
      ...(sql != null && generated !== '' ? { expression: sql } : {}),
      ...(next === undefined ? {} : { position: next }),
    });
    if (ownCollation != null) parts.push({ kind: 'collation', name: `${ownCollation} (${column})` });
    if (domain != null) parts.push({ kind: 'check', name: `of domain ${domain} (${column})` });
  }
  const plainIndexes: IndexDefinition[] = [];
  for (const [index, unique, plain, names, definition, constraint] of await session.query(indexes, name, o)) {
    if (plain === 'true')
      plainIndexes.push({ name: index!, columns: JSON.parse(names!) as string[], unique: unique === 'true' });
    else {
      const tail = definition!.slice(definition!.indexOf(' USING '));
      const again =
        constraint != null
          ? `alter table {table} add constraint ${id(index!)} ${constraint}`
          : `create ${unique === 'true' ? 'unique ' : ''}index ${id(index!)} on {table}${tail}`;
      parts.push({ kind: 'index', name: index!, definition: constraint ?? definition!, again });
    }
  }
  for (const [kind, part, definition] of await session.query(others, name, o)) {
    const again =
      kind === 'check' || kind === 'exclusion'
        ? `alter table {table} add constraint ${id(part!)} ${definition}`
        : undefined;
    parts.push({
      kind: kind as OtherPart['kind'],
      name: part!,
      ...(definition == null ? {} : { definition }),
      ...(again === undefined ? {} : { again }),
    });
  }
  return { columns: found, indexes: plainIndexes, others: parts };
};

/** What tables are made of, asked table by table inside a transaction of `session`. */
export const tableDetails = async (
  session: Session,
  tables: readonly Table[],
  o: StatementOptions,
): Promise<readonly TableDetails[]> => {
  const found: TableDetails[] = [];
  for (const table of tables) found.push(await detailsOf(session, table, o));
  return found;
};
