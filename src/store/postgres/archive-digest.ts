import type { ArchiveDigest } from '../../model/archive.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Partition } from '../../model/selected.ts';
import type { ArchiveTable } from './archive-hashes.ts';
import type { Database } from './database.ts';

const least = -(2n ** 63n);
const greatest = 2n ** 63n - 1n;
const mask = (1n << 64n) - 1n;

/** The part that a row falls into: where `partOf` of the model puts its key. */
const partSql = (p: Partition | undefined): string => {
  if (p === undefined || p.count === 1) return '0';
  if (p.by === 'hash') return `key_hash & ${p.count - 1}`;
  const last = p.origin + BigInt(p.count - 1) * p.width;
  const fits = p.origin >= least && last <= greatest && last - p.origin <= greatest;
  const k = fits ? 'k' : 'k::numeric';
  // a literal with its sign in quotes: the least integer has no other form
  const n = (x: bigint): string => `'${x}'::${fits ? 'bigint' : 'numeric'}`;
  const inside = fits ? `(k - ${n(p.origin)}) / ${n(p.width)}` : `div(${k} - ${n(p.origin)}, ${n(p.width)})::bigint`;
  return `case when k is null or ${k} >= ${n(last)} then ${p.count - 1} when ${k} < ${n(p.origin)} then 0 else ${inside} end`;
};

export const archiveDigest = async (
  database: Database,
  table: ArchiveTable,
  partition: Partition | undefined,
  o: Cancel,
): Promise<readonly ArchiveDigest[]> => {
  const rows = await database.query(
    `select ${partSql(partition)} as part, count(*) as rows, sum(source_hash) as source, sum(target_hash) as target
     from ${table.name} group by 1`,
    [],
    o,
  );
  return rows.map((row) => {
    const sum = (side: string) => ({ rows: Number(row['rows']), sum: BigInt(row[side] as string) & mask });
    return { part: Number(row['part']), source: sum('source'), target: sum('target') };
  });
};
