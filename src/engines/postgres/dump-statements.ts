import type { DumpStatement } from '../../model/dump.ts';
import type { Session, StatementOptions } from './session.ts';

/**
 * The statements that make a database again, from its own catalogue. Every query is given the schemas ($1) and shows a
 * name and a statement; names are quoted there, for the search path holds the catalogue alone.
 */
interface Part {
  readonly kind: string;
  readonly when: DumpStatement['when'];
  readonly sql: string;
}

const own = (catalogue: string, oid: string): string =>
  `not exists (select from pg_depend member where member.classid = '${catalogue}'::regclass and member.objid = ${oid} and member.deptype = 'e')`;
const named = `quote_ident(n.nspname) || '.' || quote_ident(c.relname)`;
const typeName = `quote_ident(n.nspname) || '.' || quote_ident(t.typname)`;
const classes = (kinds: string): string =>
  `from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = any ($1) and c.relkind in (${kinds}) and c.relpersistence <> 't' and ${own('pg_class', 'c.oid')}`;
const collated = (column: string, type: string): string =>
  `coalesce((select ' collate ' || l.oid::regcollation::text from pg_collation l join pg_type lt on lt.oid = ${type}
     where l.oid = ${column} and ${column} <> lt.typcollation), '')`;
const counter = `' start with ' || q.seqstart || ' increment by ' || q.seqincrement || ' minvalue ' || q.seqmin
  || ' maxvalue ' || q.seqmax || ' cache ' || q.seqcache || case when q.seqcycle then ' cycle' else '' end`;
const options = `coalesce(' with (' || (select string_agg(quote_ident(split_part(r, '=', 1)) || ' = '
  || quote_literal(substr(r, strpos(r, '=') + 1)), ', ') from unnest(c.reloptions) r) || ')', '')`;

const columns = `(select string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) || ${collated('a.attcollation', 'a.atttypid')}
    || case when a.attgenerated = 's' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') stored'
            when a.attgenerated = 'v' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ')'
            when a.attidentity <> '' and not c.relispartition then ' generated ' || case a.attidentity when 'a' then 'always' else 'by default' end
              || ' as identity (sequence name ' || (select i.refname || i.counter from (
                   select quote_ident(sn.nspname) || '.' || quote_ident(sc.relname) as refname, ${counter} as counter
                   from pg_depend dep join pg_class sc on sc.oid = dep.objid and sc.relkind = 'S' join pg_namespace sn on sn.oid = sc.relnamespace
                   join pg_sequence q on q.seqrelid = sc.oid
                   where dep.classid = 'pg_class'::regclass and dep.refclassid = 'pg_class'::regclass
                     and dep.refobjid = a.attrelid and dep.refobjsubid = a.attnum and dep.deptype = 'i') i) || ')'
            else coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') end
    || case when a.attnotnull then ' not null' else '' end, ', ' order by a.attnum)
  from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)`;

const constraints = (kinds: string): string => `
  select ${named} || '.' || quote_ident(k.conname), 'alter table ' || ${named} || ' add constraint ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid)
  from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any ($1) and k.contype in (${kinds}) and k.conparentid = 0 and k.conislocal and c.relkind in ('r', 'p') and c.relpersistence <> 't'
    and ${own('pg_class', 'c.oid')}
  order by k.oid`;

const parts: readonly Part[] = [
  {
    kind: 'schema',
    when: 'before_rows',
    sql: `select quote_ident(nspname), 'create schema if not exists ' || quote_ident(nspname) from pg_namespace where nspname = any ($1) order by oid`,
  },
  {
    kind: 'extension',
    when: 'before_rows',
    sql: `select quote_ident(e.extname), 'create extension if not exists ' || quote_ident(e.extname) || ' with schema ' || quote_ident(n.nspname)
      from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname <> 'plpgsql' and n.nspname = any ($1) order by e.oid`,
  },
  {
    kind: 'type',
    when: 'before_rows',
    sql: `select ${typeName}, 'create type ' || ${typeName} || case t.typtype
        when 'e' then ' as enum (' || coalesce((select string_agg(quote_literal(l.enumlabel), ', ' order by l.enumsortorder) from pg_enum l where l.enumtypid = t.oid), '') || ')'
        else ' as (' || coalesce((select string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) || ${collated('a.attcollation', 'a.atttypid')}, ', ' order by a.attnum)
              from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped), '') || ')' end
      from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_class c on c.oid = t.typrelid
      where n.nspname = any ($1) and (t.typtype = 'e' or c.relkind = 'c') and ${own('pg_type', 't.oid')} order by t.oid`,
  },
  {
    kind: 'domain',
    when: 'before_rows',
    sql: `select ${typeName}, 'create domain ' || ${typeName} || ' as ' || format_type(t.typbasetype, t.typtypmod) || ${collated('t.typcollation', 't.typbasetype')}
        || coalesce(' default ' || t.typdefault, '') || case when t.typnotnull then ' not null' else '' end
        || coalesce((select string_agg(' constraint ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), '' order by k.oid)
             from pg_constraint k where k.contypid = t.oid and k.contype = 'c'), '')
      from pg_type t join pg_namespace n on n.oid = t.typnamespace
      where n.nspname = any ($1) and t.typtype = 'd' and ${own('pg_type', 't.oid')} order by t.oid`,
  },
  {
    kind: 'function',
    when: 'before_rows',
    sql: `select p.oid::regprocedure::text, pg_get_functiondef(p.oid) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = any ($1) and p.prokind <> 'a' and ${own('pg_proc', 'p.oid')} order by p.oid`,
  },
  {
    kind: 'sequence',
    when: 'before_rows',
    sql: `select s.name, 'create sequence ' || s.name || ' as ' || format_type(q.seqtypid, null) || ${counter}
      from (select c.oid, ${named} as name ${classes("'S'")}) s join pg_sequence q on q.seqrelid = s.oid
      where not exists (select from pg_depend i where i.classid = 'pg_class'::regclass and i.objid = s.oid and i.deptype = 'i') order by s.oid`,
  },
  {
    kind: 'table',
    when: 'before_rows',
    sql: `select ${named}, 'create ' || case c.relpersistence when 'u' then 'unlogged ' else '' end || 'table ' || ${named} || ' (' || coalesce(${columns}, '') || ')'
        || case when c.relkind = 'p' then ' partition by ' || pg_get_partkeydef(c.oid) else ${options} end
      ${classes("'r', 'p'")} order by c.oid`,
  },
  {
    kind: 'partition or heir',
    when: 'before_rows',
    sql: `select ${named}, case when c.relispartition
        then 'alter table ' || i.inhparent::regclass || ' attach partition ' || ${named} || ' ' || pg_get_expr(c.relpartbound, c.oid)
        else 'alter table ' || ${named} || ' inherit ' || i.inhparent::regclass end
      from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any ($1) and c.relkind in ('r', 'p') and ${own('pg_class', 'c.oid')} order by c.oid, i.inhseqno`,
  },
  {
    kind: 'view',
    when: 'before_rows',
    sql: `select ${named}, 'create ' || case c.relkind when 'm' then 'materialized ' else '' end || 'view ' || ${named} || ${options} || ' as '
        || rtrim(pg_get_viewdef(c.oid), ';') || case c.relkind when 'm' then ' with no data' else '' end
      ${classes("'v', 'm'")} order by c.oid`,
  },
  {
    kind: 'owner of sequence',
    when: 'before_rows',
    sql: `select ${named}, 'alter sequence ' || ${named} || ' owned by ' || d.refobjid::regclass || '.' || quote_ident(a.attname)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass and d.deptype = 'a' and d.refobjsubid > 0
      join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      where n.nspname = any ($1) and c.relkind = 'S' and ${own('pg_class', 'c.oid')} order by c.oid`,
  },
  { kind: 'key or check', when: 'after_rows', sql: constraints("'p', 'u', 'x', 'c'") },
  {
    kind: 'index',
    when: 'after_rows',
    sql: `select i.indexrelid::regclass::text, case when c.relkind = 'I' then regexp_replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') else pg_get_indexdef(i.indexrelid) end
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class o on o.oid = i.indrelid join pg_namespace n on n.oid = o.relnamespace
      where n.nspname = any ($1) and i.indisvalid and not c.relispartition and o.relpersistence <> 't' and o.relkind in ('r', 'p', 'm') and ${own('pg_class', 'o.oid')}
        and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')) order by i.indexrelid`,
  },
  { kind: 'foreign key', when: 'after_rows', sql: constraints("'f'") },
  {
    kind: 'statistics',
    when: 'after_rows',
    sql: `select quote_ident(n.nspname) || '.' || quote_ident(s.stxname), pg_get_statisticsobjdef(s.oid) from pg_statistic_ext s
      join pg_namespace n on n.oid = s.stxnamespace where n.nspname = any ($1) order by s.oid`,
  },
  {
    kind: 'rule',
    when: 'after_rows',
    sql: `select ${named} || '.' || quote_ident(r.rulename), pg_get_ruledef(r.oid) from pg_rewrite r join pg_class c on c.oid = r.ev_class
      join pg_namespace n on n.oid = c.relnamespace where n.nspname = any ($1) and r.rulename <> '_RETURN' and ${own('pg_class', 'c.oid')} order by r.oid`,
  },
  {
    kind: 'trigger',
    when: 'after_rows',
    sql: `select ${named} || '.' || quote_ident(t.tgname), pg_get_triggerdef(t.oid) || case t.tgenabled when 'O' then '' else '; alter table ' || ${named}
        || case t.tgenabled when 'D' then ' disable trigger ' when 'R' then ' enable replica trigger ' else ' enable always trigger ' end || quote_ident(t.tgname) end
      from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any ($1) and not t.tgisinternal and t.tgparentid = 0 and ${own('pg_class', 'c.oid')} order by t.oid`,
  },
  {
    kind: 'rows of view',
    when: 'after_rows',
    sql: `select ${named}, 'refresh materialized view ' || ${named} ${classes("'m'")} and c.relispopulated order by c.oid`,
  },
  {
    kind: 'row security',
    when: 'proved',
    sql: `select ${named}, 'alter table ' || ${named} || ' enable row level security' || case when c.relforcerowsecurity then ', force row level security' else '' end
      ${classes("'r', 'p'")} and c.relrowsecurity order by c.oid`,
  },
  {
    kind: 'policy',
    when: 'proved',
    sql: `select ${named} || '.' || quote_ident(p.polname), 'create policy ' || quote_ident(p.polname) || ' on ' || ${named}
        || case when p.polpermissive then '' else ' as restrictive' end
        || ' for ' || case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end
        || coalesce(' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', '') || coalesce(' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
      from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any ($1) and p.polroles = '{0}' order by p.oid`,
  },
];

/** The user's schemas, or those of `wanted` that are there. */
export const schemasOf = async (
  session: Session,
  wanted: readonly string[] | undefined,
  o: StatementOptions,
): Promise<readonly string[]> => {
  const rows = await session.query(
    `select n.nspname from pg_namespace n where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       and ${own('pg_namespace', 'n.oid')} and ($1::text[] is null or n.nspname = any ($1)) order by n.oid`,
    [wanted ?? null],
    o,
  );
  return rows.map((row) => row[0]!);
};

export const statementsOf = async (
  session: Session,
  schemas: readonly string[],
  o: StatementOptions,
): Promise<readonly DumpStatement[]> => {
  const found: DumpStatement[] = [];
  for (const { kind, when, sql } of parts)
    for (const [name, statement] of await session.query(sql, [schemas], o)) {
      if (statement == null)
        throw session.explain(new Error(`the catalogue does not say how to make ${kind} ${name}`), o);
      found.push({ kind, name: name!, sql: statement, when });
    }
  return found;
};

const notCarried = `
select what, n::text from (
  select 1 as no, 'large objects' as what, (select count(*) from pg_largeobject_metadata) as n
  union all select 2, 'foreign tables', (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = any ($1) and c.relkind = 'f')
  union all select 3, 'aggregates', (select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = any ($1) and p.prokind = 'a' and ${own('pg_proc', 'p.oid')})
  union all select 4, 'range and base types', (select count(*) from pg_type t join pg_namespace n on n.oid = t.typnamespace where n.nspname = any ($1) and (t.typtype in ('r', 'm') or (t.typtype = 'b' and t.typcategory <> 'A')) and ${own('pg_type', 't.oid')})
  union all select 5, 'operators', (select count(*) from pg_operator p join pg_namespace n on n.oid = p.oprnamespace where n.nspname = any ($1) and ${own('pg_operator', 'p.oid')})
  union all select 6, 'collations', (select count(*) from pg_collation p join pg_namespace n on n.oid = p.collnamespace where n.nspname = any ($1) and ${own('pg_collation', 'p.oid')})
  union all select 7, 'text search configurations', (select count(*) from pg_ts_config p join pg_namespace n on n.oid = p.cfgnamespace where n.nspname = any ($1) and ${own('pg_ts_config', 'p.oid')})
  union all select 8, 'policies for roles', (select count(*) from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace where n.nspname = any ($1) and p.polroles <> '{0}')
  union all select 9, 'publications', (select count(*) from pg_publication)
  union all select 10, 'event triggers', (select count(*) from pg_event_trigger e where ${own('pg_event_trigger', 'e.oid')})
) found where n > 0 order by no`;

/** What is there and cannot be made again from a dump, e.g. `2 large objects`. */
export const notCarriedOf = async (
  session: Session,
  schemas: readonly string[],
  o: StatementOptions,
): Promise<readonly string[]> => (await session.query(notCarried, [schemas], o)).map(([what, n]) => `${n} ${what}`);

/** Anything of the user's that a restored database could collide with. */
export const occupants = `
select ${named} ${classes("'r', 'p', 'v', 'm', 'S', 'f'")}
union all
select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = any ($1) and ${own('pg_proc', 'p.oid')}
union all
select ${typeName} from pg_type t join pg_namespace n on n.oid = t.typnamespace where n.nspname = any ($1) and t.typtype in ('e', 'd', 'r') and ${own('pg_type', 't.oid')}
limit 5`;
