import { LockstepError } from '../../model/errors.ts';
import { literal } from '../sql/quote.ts';
import type { Session, StatementOptions } from './session.ts';

/**
 * Rows of the tables of a dump (`dumped`: quoted, with their schemas) that live in tables outside it: partitions and heirs
 * in a schema that is not dumped, or made by an extension, e.g. the chunks of TimescaleDB. A proof compares each table
 * alone, so it would miss them on both sides. Throws BACKUP.
 */
export const refuseOutsideHeirs = async (
  session: Session,
  dumped: readonly string[],
  schemas: readonly string[],
  o: StatementOptions,
): Promise<void> => {
  // a foreign table of a dumped schema is counted among what is not carried; others' temporary rows are nobody's to keep
  const found = await session.query(
    `select quote_ident(n.nspname) || '.' || quote_ident(c.relname), i.inhparent::regclass::text
     from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace
     where i.inhparent = any ($1::regclass[]) and c.oid <> all ($1::regclass[]) and c.relpersistence <> 't'
       and not (c.relkind = 'f' and n.nspname = any ($2)) order by c.oid limit 5`,
    [dumped, schemas],
    o,
  );
  if (found.length === 0) return;
  const { name } = session.context;
  throw new LockstepError('BACKUP', `${name}: rows of ${found[0]![1]} are in tables that the backup would not hold`, {
    details: found.map(([heir, parent]) => `${heir} belongs to ${parent}`),
    hint: 'Back up their schemas with it. Tables that an extension looks after (TimescaleDB) need the tool of that extension, or pg_dump.',
    side: name,
  });
};

const owned = (catalogue: string, oid: string): string =>
  `exists (select from pg_depend e where e.classid = '${catalogue}'::regclass and e.objid = ${oid} and e.deptype = 'e')`;

/**
 * What extensions keep for the user, which a dump leaves out: e.g. `rows of 1 tables of extensions: cron.job`. The
 * extension's own initial rows (`spatial_ref_sys`) are counted too: nobody can tell them from others. A table that may not
 * be read, or not all of it, is taken for one with rows.
 */
export const keptByExtensions = async (
  session: Session,
  wanted: readonly string[] | undefined,
  o: StatementOptions,
): Promise<readonly string[]> => {
  const found = await session.query(
    `select t.name, t.own::text, t.readable::text from (
       select c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name, c.relkind, ${owned('pg_class', 'c.oid')} as own,
         case when ${owned('pg_namespace', 'n.oid')} then true end as within,
         has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') and not row_security_active(c.oid) as readable
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'p', 'f', 'm', 'v', 'S') and c.relpersistence <> 't'
         and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and ($1::text[] is null or n.nspname = any ($1))) t
     where case when t.own then t.relkind = 'r' else t.within end order by t.oid`,
    [wanted ?? null],
    o,
  );
  const within = found.filter(([, own]) => own === 'false').map(([name]) => name!);
  const tables = found.filter(([, own]) => own === 'true');
  const readable = tables.filter(([, , may]) => may === 'true').map(([name]) => name!);
  const full = tables.filter(([, , may]) => may !== 'true').map(([name]) => name!);
  if (readable.length > 0) {
    const some = readable.map((name) => `select ${literal(name)} where exists (select from only ${name})`);
    full.push(...(await session.query(some.join(' union all '), undefined, o)).map(([name]) => name!));
  }
  const told = (what: string, names: readonly string[]): readonly string[] =>
    names.length === 0
      ? []
      : [`${what}: ${names.slice(0, 3).join(', ')}${names.length > 3 ? `, ${names.length - 3} more` : ''}`];
  return [
    ...told(`rows of ${full.length} tables of extensions`, full),
    ...told(`${within.length} tables or views in schemas of extensions`, within),
  ];
};
