import type { Column, ForeignKey, Schema, Table, UniqueKey } from '../../model/schema.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';
import { columnType } from './types.ts';

/** Our own tables: never shown, never compared. */
export const ownSchema = 'lockstep';

const relations = `
select c.oid::text, n.nspname, c.relname, c.relkind,
       case when c.relkind = 'p'
            then (select sum(greatest(p.reltuples, 0))::bigint::text
                  from pg_catalog.pg_partition_tree(c.oid) t join pg_catalog.pg_class p on p.oid = t.relid where t.isleaf)
            when c.reltuples < 0 then null
            else c.reltuples::bigint::text end,
       case when c.relkind in ('r', 'f') and c.relhassubclass then (
         with recursive below as (
           select i.inhrelid as oid from pg_catalog.pg_inherits i where i.inhparent = c.oid
           union
           select i.inhrelid from below b join pg_catalog.pg_inherits i on i.inhparent = b.oid)
         select pg_catalog.json_agg(pg_catalog.json_build_array(dn.nspname, d.relname) order by dn.nspname collate "C", d.relname collate "C")::text
         from below b join pg_catalog.pg_class d on d.oid = b.oid join pg_catalog.pg_namespace dn on dn.oid = d.relnamespace)
       end
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any($1::text[]) and n.nspname <> '${ownSchema}'
  and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
order by n.nspname collate "C", c.relname collate "C"`;

/** Tables elsewhere that are no part of an extension. */
const elsewhere = `
select n.nspname, count(*)::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname <> all($1::text[]) and n.nspname not in ('${ownSchema}', 'information_schema') and n.nspname not like 'pg\\_%'
  and c.relkind in ('r', 'p') and not c.relispartition
  and not exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
group by n.nspname order by n.nspname collate "C"`;

/** Domains are followed down to what they are made of; the outermost modifier that is set holds. */
const columns = `
with recursive made_of as (
  select t.oid as top, t.oid as base, t.typtype, t.typbasetype, t.typtypmod, -1 as typmod, false as not_null
  from pg_catalog.pg_type t where t.typtype = 'd'
  union all
  select m.top, b.oid, b.typtype, b.typbasetype, b.typtypmod,
         case when m.typmod >= 0 then m.typmod else m.typtypmod end,
         m.not_null or (select d.typnotnull from pg_catalog.pg_type d where d.oid = m.base)
  from made_of m join pg_catalog.pg_type b on b.oid = m.typbasetype where m.typtype = 'd'
), resolved as (
  select top, base, typmod, not_null from made_of where typtype <> 'd'
)
select a.attrelid::text, a.attnum::text, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
       (a.attnotnull or coalesce(r.not_null, false))::text, a.attidentity, a.attgenerated, a.atthasdef::text,
       (a.attidentity <> '' or pg_catalog.pg_get_expr(d.adbin, d.adrelid) like 'nextval(%')::text,
       bn.nspname, b.typname, b.typtype, b.typcategory,
       (case when r.top is null then a.atttypmod else r.typmod end)::text,
       pg_catalog.format_type(b.oid, case when r.top is null then a.atttypmod else r.typmod end),
       case when b.typtype = 'e'
            then (select pg_catalog.json_agg(e.enumlabel order by e.enumsortorder)::text from pg_catalog.pg_enum e where e.enumtypid = b.oid) end
from pg_catalog.pg_attribute a
left join resolved r on r.top = a.atttypid
join pg_catalog.pg_type b on b.oid = coalesce(r.base, a.atttypid)
join pg_catalog.pg_namespace bn on bn.oid = b.typnamespace
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated = ''
where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum`;

const indexes = `
select i.indrelid::text, c.relname, i.indisunique::text, i.indisprimary::text,
       (i.indpred is not null)::text, i.indnkeyatts::text, i.indkey::text
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
where i.indrelid = any($1::oid[]) and i.indisvalid and i.indislive
order by i.indrelid, not i.indisprimary, c.relname collate "C"`;

/** What a foreign key does to its own rows when the referenced one is deleted or changed; the others refuse it. */
const keyActions: Readonly<Record<string, NonNullable<ForeignKey['onDelete']>>> = {
  c: 'cascade',
  n: 'set_null',
  d: 'set_default',
};

const foreignKeys = `
select k.conrelid::text, k.conname, k.conkey::text, fn.nspname, f.relname, k.condeferrable::text, k.confdeltype::text,
       k.confupdtype::text, k.condeferred::text, k.confmatchtype::text,
       (select pg_catalog.json_agg(a.attname order by o.ord)::text
        from pg_catalog.unnest(k.confkey) with ordinality o(num, ord)
        join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = o.num)
from pg_catalog.pg_constraint k
join pg_catalog.pg_class f on f.oid = k.confrelid
join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
where k.conrelid = any($1::oid[]) and k.contype = 'f' and k.conparentid = 0
order by k.conrelid, k.conname collate "C"`;

/** With those that only a partition has: its rows are written through the parent, and they act on them. */
const triggers = `
select x.oid, x.name from (
  select t.tgrelid::text, t.tgname::text from pg_catalog.pg_trigger t
  where t.tgrelid = any($1::oid[]) and not t.tgisinternal and t.tgenabled <> 'D'
  union all
  select c.oid::text, t.tgname || ' of ' || n.nspname || '.' || d.relname
  from pg_catalog.pg_class c
  cross join lateral pg_catalog.pg_partition_tree(c.oid) p
  join pg_catalog.pg_class d on d.oid = p.relid
  join pg_catalog.pg_namespace n on n.oid = d.relnamespace
  join pg_catalog.pg_trigger t on t.tgrelid = d.oid
  where c.oid = any($1::oid[]) and c.relkind = 'p' and p.relid <> c.oid
    and not t.tgisinternal and t.tgenabled <> 'D' and t.tgparentid = 0 and t.tgtype & 1 = 1) x(oid, name)
order by x.oid, x.name collate "C"`;

const tableKinds: Readonly<Record<string, Table['kind']>> = {
  r: 'table',
  p: 'partitioned',
  v: 'view',
  m: 'view',
  f: 'view',
};

const grouped = (rows: readonly RawRow[]): Map<string, RawRow[]> => {
  const groups = new Map<string, RawRow[]>();
  for (const row of rows) {
    const group = groups.get(row[0]!);
    if (group) group.push(row);
    else groups.set(row[0]!, [row]);
  }
  return groups;
};

const readColumn = (row: RawRow): Column => {
  const [
    ,
    ,
    name,
    native,
    notNull,
    identity,
    generated,
    hasDefault,
    serial,
    schema,
    typeName,
    kind,
    category,
    typmod,
    formatted,
    labels,
  ] = row;
  const type = columnType({
    schema: schema!,
    name: typeName!,
    kind: kind!,
    category: category!,
    typmod: Number(typmod),
    formatted: formatted!,
    labels: labels == null ? [] : (JSON.parse(labels) as string[]),
  });
  return {
    name: name!,
    type,
    native: native!,
    nullable: notNull !== 'true',
    ...(generated !== ''
      ? { generated: 'always' as const }
      : identity === 'a'
        ? { generated: 'identity' as const }
        : {}),
    ...(serial === 'true' ? { serial: true as const } : {}),
    ...(hasDefault === 'true' && generated === '' ? { hasDefault: true as const } : {}),
  };
};

const smallints = (text: string): number[] =>
  text
    .replace(/[{}]/g, '')
    .split(/[ ,]/)
    .filter((s) => s !== '')
    .map(Number);

const readTable = (
  row: RawRow,
  columnRows: readonly RawRow[],
  indexRows: readonly RawRow[],
  keyRows: readonly RawRow[],
  triggerRows: readonly RawRow[],
): Table => {
  const [, schema, name, kind, estimate, below] = row;
  const descendants = below == null ? undefined : (JSON.parse(below) as readonly [string, string][]);
  const cols = columnRows.map(readColumn);
  const byNumber = new Map(columnRows.map((c, i) => [Number(c[1]), cols[i]!]));
  const uniques: UniqueKey[] = [];
  const leading: (readonly string[])[] = [];
  for (const [, indexName, unique, primary, partial, width, keys] of indexRows) {
    const numbers = smallints(keys!).slice(0, Number(width));
    const plain = numbers.map((n) => byNumber.get(n));
    const firstExpression = plain.indexOf(undefined);
    const names = (firstExpression < 0 ? plain : plain.slice(0, firstExpression)).map((c) => c!.name);
    if (partial !== 'true' && names.length > 0) leading.push(names);
    if (unique !== 'true') continue;
    const total = partial !== 'true' && firstExpression < 0 && plain.every((c) => !c!.nullable);
    // of an expression index only the plain columns are named; it is never a key
    if (names.length > 0) uniques.push({ name: indexName!, columns: names, total, primary: primary === 'true' });
  }
  const fks = keyRows.map(
    ([
      ,
      constraint,
      own,
      refSchema,
      refTable,
      deferrable,
      onDelete,
      onUpdate,
      deferred,
      match,
      refColumns,
    ]): ForeignKey => ({
      name: constraint!,
      columns: smallints(own!).map((n) => byNumber.get(n)!.name),
      references: { schema: refSchema!, name: refTable! },
      referencedColumns: JSON.parse(refColumns!) as string[],
      deferrable: deferrable === 'true',
      ...(deferred === 'true' ? { deferred: true as const } : {}),
      ...(match === 'f' ? { matchFull: true as const } : {}),
      ...(keyActions[onDelete!] === undefined ? {} : { onDelete: keyActions[onDelete!]! }),
      ...(keyActions[onUpdate!] === undefined ? {} : { onUpdate: keyActions[onUpdate!]! }),
    }),
  );
  return {
    schema: schema!,
    name: name!,
    kind: tableKinds[kind!]!,
    ...(descendants === undefined
      ? {}
      : {
          only: true as const,
          descendants: descendants.map(([inSchema, child]) => ({ schema: inSchema, name: child })),
        }),
    columns: cols,
    uniques,
    foreignKeys: fks,
    triggers: triggerRows.map((t) => t[1]!),
    ...(estimate === null || estimate === undefined || kind === 'v' ? {} : { estimatedRows: Number(estimate) }),
    indexes: leading,
  };
};

/** Reads the catalogue: six queries, whatever the number of tables. Inside a transaction of `session`. */
export const inspectSchema = async (
  session: Session,
  schemas: readonly string[],
  defaultSchema: string | undefined,
  o: StatementOptions,
): Promise<Schema> => {
  const rels = await session.query(relations, [schemas], o);
  const oids = rels.map((r) => r[0]!);
  const cols = grouped(await session.query(columns, [oids], o));
  const idx = grouped(await session.query(indexes, [oids], o));
  const fks = grouped(await session.query(foreignKeys, [oids], o));
  const trg = grouped(await session.query(triggers, [oids], o));
  const tables = rels.map((r) =>
    readTable(r, cols.get(r[0]!) ?? [], idx.get(r[0]!) ?? [], fks.get(r[0]!) ?? [], trg.get(r[0]!) ?? []),
  );
  const unseen = (await session.query(elsewhere, [schemas], o)).map(([schema, n]) => ({
    schema: schema!,
    tables: Number(n),
  }));
  return {
    tables,
    ...(unseen.length === 0 ? {} : { unseen }),
    ...(defaultSchema === undefined ? {} : { defaultSchema }),
  };
};
