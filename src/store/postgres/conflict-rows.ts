import { newId } from '../../lib/ids.ts';
import type { Cancel } from '../../model/cancel.ts';
import type { Conflict, ConflictFilter, NewConflict, Resolution } from '../../model/conflicts.ts';
import { within } from '../../model/judge.ts';
import { policyTypes } from '../../model/policy.ts';
import type { Key } from '../../model/row.ts';
import type { Lock } from '../stored-values.ts';
import type { Connection, Rows } from './database.ts';
import { hashOf } from './key-hash.ts';
import { fromJson, fromTime, plainOrNull, plainText, toJson, toTime } from './values.ts';

/** What a column of a conflict is encrypted for. Resolutions were once encrypted for any. */
export const conflictPlace = (row: Rows[number], column: string): string | readonly string[] => {
  const place = `conflict ${row['id']} ${column}`;
  return column === 'resolution' ? [place, 'resolution'] : place;
};

export const toConflict = (row: Rows[number]): Conflict => {
  const decidedAt = fromTime(row['decided_at']);
  const { why, ...chosen } = fromJson<Resolution & { readonly why?: string | null }>(row['resolution'] ?? '{}');
  const state = row['state'] as Conflict['state'];
  const policy = row['policy'] as string | null;
  return {
    id: row['id'] as string,
    version: row['version'] as number,
    sync: row['sync'] as string,
    pair: row['pair'] as string,
    run: row['run'] as string,
    key: fromJson<Key>(row['key']),
    type: row['type'] as Conflict['type'],
    columns: fromJson<Conflict['columns']>(row['columns']),
    keyWidth: row['key_width'] as number,
    base: fromJson<Conflict['base']>(row['base']),
    source: fromJson<Conflict['source']>(row['source']),
    target: fromJson<Conflict['target']>(row['target']),
    state,
    ...(state === 'ruled' ? { result: fromJson<Conflict['source']>(row['result']) } : {}),
    ...(policy === null ? {} : { policy }),
    reason: row['reason'] as string,
    found: fromTime(row['found'])!,
    seen: fromTime(row['seen'])!,
    closed: fromTime(row['closed']),
    closedBy: row['closed_by'] as string | null,
    resolution:
      decidedAt === null
        ? null
        : {
            ...chosen,
            by: row['decided_by'] as string,
            at: decidedAt,
            // An earlier version kept it apart.
            why: why ?? (row['why'] as string | null),
          },
  };
};

export const disputedNames = (columns: Conflict['columns']): readonly string[] =>
  columns.filter((c) => c.disputed).map((c) => plainText(c.column));

/** What both sides did, of a row that has moved; and which columns they dispute now. */
export const seenAnew = (
  was: Conflict,
  { source, target }: Pick<NewConflict, 'source' | 'target'>,
): Pick<Conflict, 'type' | 'columns'> => {
  if (!(policyTypes as readonly string[]).includes(was.type)) return { type: was.type, columns: was.columns };
  const there = source !== null && target !== null;
  const { base } = was;
  const columns = was.columns.map((column, i) => {
    const [a, b, agreed] = [source?.[i] ?? null, target?.[i] ?? null, base?.[i]];
    const same = a === b || (column.tolerance !== undefined && within(column.tolerance, a, b));
    // Of a value that is not kept nobody can tell who changed it.
    const oneSided = typeof agreed === 'string' || agreed === null ? a === agreed || b === agreed : false;
    return { ...column, disputed: there && !same && !oneSided };
  });
  const both = base === null ? 'insert_insert' : 'update_update';
  return { type: there ? both : source === null ? 'delete_update' : 'update_delete', columns };
};

/** Of what a filter means, with its values as $1 to $8. */
export const conflictWhere = `($1::text is null or sync = $1) and ($2::text[] is null or sync = any ($2))
  and ($3::text is null or pair = $3) and ($4::bytea[] is null or hash = any ($4))
  and ($5::text[] is null or type = any ($5)) and ($6::text[] is null or state = any ($6))
  and ($7::text is null or $7 = any (disputed)) and ($8::text is null or run = $8)`;

export const conflictValues = (f: ConflictFilter): readonly unknown[] => [
  plainOrNull(f.sync),
  f.syncs?.map(plainText) ?? null,
  plainOrNull(f.pair),
  f.keys?.map(hashOf) ?? null,
  f.types ?? null,
  f.states ?? null,
  plainOrNull(f.column),
  plainOrNull(f.run),
];

const insert = `insert into lockstep_control.conflict
    (id, sync, pair, hash, state, type, run, key, columns, key_width, base, source, target, result, policy, reason,
     disputed, found, seen, closed, closed_by)
  select id, sync, pair, hash, state, type, run, key, columns, key_width, base, source, target, result, policy, reason,
    array(select jsonb_array_elements_text(disputed::jsonb)), $18, $18,
    case state when 'ruled' then $18::timestamptz end, case state when 'ruled' then run end
  from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::integer[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])
    as x (id, sync, pair, hash, state, type, run, key, columns, key_width, base, source, target, result, policy, reason, disputed)
  returning *`;

/** New records, in the order given. */
export const addConflicts = async (
  connection: Connection,
  conflicts: readonly NewConflict[],
  at: number,
  o: Cancel,
): Promise<readonly Conflict[]> => {
  if (conflicts.length === 0) return [];
  const ids = conflicts.map(() => newId('c', at)).sort();
  const of = (value: (c: NewConflict) => unknown): readonly unknown[] => conflicts.map(value);
  const kept = (column: string, value: (c: NewConflict) => string | null) => (lock: Lock) =>
    conflicts.map((c, i) => lock.text(value(c), `conflict ${ids[i]} ${column}`));
  const rows = await connection.query(
    insert,
    [
      ids,
      of((c) => plainText(c.sync)),
      of((c) => plainText(c.pair)),
      of((c) => hashOf(c.key)),
      of((c) => c.state),
      of((c) => c.type),
      of((c) => c.run),
      of((c) => JSON.stringify(c.key)),
      of((c) => JSON.stringify(c.columns)),
      of((c) => c.keyWidth),
      kept('base', (c) => toJson(c.base)),
      kept('source', (c) => toJson(c.source)),
      kept('target', (c) => toJson(c.target)),
      kept('result', (c) => toJson(c.result)),
      of((c) => plainOrNull(c.policy)),
      kept('reason', (c) => plainText(c.reason)),
      of((c) => JSON.stringify(disputedNames(c.columns))),
      toTime(at),
    ],
    { ...o, name: 'conflicts', place: conflictPlace },
  );
  return rows.map(toConflict).toSorted((a, b) => (a.id < b.id ? -1 : 1));
};
