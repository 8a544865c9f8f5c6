import { id, literal } from '../sql/quote.ts';
import { hexReader } from './decode.ts';
import type { Session, StatementOptions } from './session.ts';

/** A foreign key by which deleting a row of a table deletes or changes rows of another. */
export interface Referrer {
  readonly name: string;
  readonly child: string;
  readonly columns: readonly string[];
  readonly referenced: readonly string[];
}

const trimmed = (expression: string): string => `trim(trailing from ${expression})`;

/** By the catalogue as it is now, not as it was when the plan was made. */
export const referrersOf = async (
  session: Session,
  table: string,
  o: StatementOptions,
): Promise<readonly Referrer[]> => {
  const rows = await session.query(
    `select ${trimmed('c.rdb$constraint_name')}, ${trimmed('c.rdb$relation_name')}, ${trimmed('s.rdb$field_name')}, ${trimmed('us.rdb$field_name')}
     from rdb$relation_constraints c
     join rdb$ref_constraints r on r.rdb$constraint_name = c.rdb$constraint_name
     join rdb$relation_constraints u on u.rdb$constraint_name = r.rdb$const_name_uq
     join rdb$index_segments s on s.rdb$index_name = c.rdb$index_name
     join rdb$index_segments us on us.rdb$index_name = u.rdb$index_name and us.rdb$field_position = s.rdb$field_position
     where c.rdb$constraint_type = 'FOREIGN KEY' and u.rdb$relation_name = ${literal(table)}
       and r.rdb$delete_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT')
     order by c.rdb$constraint_name, s.rdb$field_position`,
    o,
  );
  const found = new Map<string, { name: string; child: string; columns: string[]; referenced: string[] }>();
  for (const [name, child, column, referenced] of rows as readonly (readonly string[])[]) {
    const referrer = found.get(name!) ?? { name: name!, child: child!, columns: [], referenced: [] };
    found.set(name!, referrer);
    referrer.columns.push(column!);
    referrer.referenced.push(referenced!);
  }
  return [...found.values()];
};

/** Addresses of rows to be deleted that rows outside of them refer to, with why: those would go or change with them. */
export const takenAlong = async (
  session: Session,
  table: string,
  addresses: readonly string[],
  referrers: readonly Referrer[],
  o: StatementOptions,
): Promise<ReadonlyMap<string, string>> => {
  const found = new Map<string, string>();
  const going = new Set(addresses);
  for (const r of referrers) {
    const same = r.columns.map((name, i) => `c.${id(name)} = p.${id(r.referenced[i]!)}`).join(' and ');
    for (let i = 0; i < addresses.length; i += 200) {
      const among = addresses.slice(i, i + 200).map((a) => `p.rdb$db_key = x'${a}'`);
      const rows = await session.query(
        {
          sql: `select p.rdb$db_key, c.rdb$db_key from ${id(table)} p join ${id(r.child)} c on ${same} where ${among.join(' or ')}`,
          texts: [hexReader, hexReader],
        },
        o,
      );
      for (const [parent, child] of rows as readonly (readonly string[])[])
        if (r.child !== table || !going.has(child!))
          found.set(parent!, `rows of ${r.child} refer to it that the plan does not delete (foreign key ${r.name})`);
    }
  }
  return found;
};
