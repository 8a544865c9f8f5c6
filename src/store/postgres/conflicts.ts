import { createHash } from 'node:crypto';
import { newId } from '../../lib/ids.ts';
import type { Conflict, ConflictFilter, Conflicts, NewConflict, Resolution } from '../../model/conflicts.ts';
import type { Cancel } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Key } from '../../model/row.ts';
import type { Connection, Database, Rows } from './database.ts';
import { inTransaction } from './transaction.ts';
import { fromJson, fromTime, plainOrNull, plainText, toJson, toTime } from './values.ts';

const hashOf = (key: Key): Buffer => createHash('sha256').update(JSON.stringify(key)).digest();

/** Rows per statement. */
const atOnce = 500;

export const toConflict = (row: Rows[number]): Conflict => {
  const decidedAt = fromTime(row['decided_at']);
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
            ...fromJson<Resolution>(row['resolution']),
            by: row['decided_by'] as string,
            at: decidedAt,
            why: row['why'] as string | null,
          },
  };
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
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18, $19, $20)
  returning *`;

const add = async (connection: Connection, c: NewConflict, at: number, o: Cancel): Promise<Conflict> => {
  const ruled = c.state === 'ruled';
  const [row] = await connection.query(
    insert,
    [
      newId('c', at),
      plainText(c.sync),
      plainText(c.pair),
      hashOf(c.key),
      c.state,
      c.type,
      c.run,
      JSON.stringify(c.key),
      JSON.stringify(c.columns),
      c.keyWidth,
      toJson(c.base),
      toJson(c.source),
      toJson(c.target),
      toJson(c.result),
      plainOrNull(c.policy),
      plainText(c.reason),
      c.columns.filter((x) => x.disputed).map((x) => plainText(x.column)),
      toTime(at),
      ruled ? toTime(at) : null,
      ruled ? c.run : null,
    ],
    { ...o, name: 'conflict' },
  );
  return toConflict(row!);
};

const recordOne = async (connection: Connection, c: NewConflict, at: number, o: Cancel): Promise<Conflict> => {
  if (c.state === 'ruled') {
    // Told again after an interruption.
    const [same] = await connection.query(
      `select * from lockstep_control.conflict where run = $1 and sync = $2 and pair = $3 and hash = $4 and state = 'ruled'`,
      [c.run, plainText(c.sync), plainText(c.pair), hashOf(c.key)],
      { ...o, name: 'conflict_ruled' },
    );
    return same === undefined ? add(connection, c, at, o) : toConflict(same);
  }
  const [open] = await connection.query(
    `select * from lockstep_control.conflict
     where sync = $1 and pair = $2 and hash = $3 and state in ('pending', 'decided') for update`,
    [plainText(c.sync), plainText(c.pair), hashOf(c.key)],
    { ...o, name: 'conflict_open' },
  );
  if (open === undefined) return add(connection, c, at, o);
  if (open['source'] === toJson(c.source) && open['target'] === toJson(c.target) && open['type'] === c.type) {
    const [seen] = await connection.query(
      'update lockstep_control.conflict set seen = $2 where id = $1 returning *',
      [open['id'], toTime(at)],
      { ...o, name: 'conflict_seen' },
    );
    return toConflict(seen!);
  }
  await end(connection, [open['id'] as string], { state: 'gone', run: c.run, at }, o);
  return add(connection, c, at, o);
};

const end = async (
  connection: Pick<Connection, 'query'>,
  ids: readonly string[],
  { state, run, at }: Parameters<Conflicts['close']>[1],
  o: Cancel,
): Promise<void> => {
  await connection.query(
    `update lockstep_control.conflict set state = $2, closed = $3, closed_by = $4, version = version + 1
     where id = any ($1) and state in ('pending', 'decided')`,
    [ids, state, toTime(at), run],
    o,
  );
};

const choiceOf = (c: Conflict): string => {
  const r = c.resolution;
  return r === null ? c.state : `${r.take}${'cells' in r ? ' with values by hand' : ''}`;
};

const notOpen = (c: Conflict): LockstepError => {
  const r = c.resolution;
  const message =
    r === null
      ? `Conflict ${c.id} is ${c.state} since ${new Date(c.closed ?? c.seen).toISOString()}. Your choice was not applied.`
      : `${r.by} resolved ${c.id} as "${choiceOf(c)}" at ${new Date(r.at).toISOString()}. Your choice was not applied.`;
  return new LockstepError('CONFLICT_RESOLVED', message, { hint: `See it: lockstep conflicts show ${c.id}` });
};

const missing = (id: string): LockstepError =>
  new LockstepError('NOT_FOUND', `there is no conflict ${id}`, { hint: 'List them with: lockstep conflicts list' });

export const conflictsOf = (database: Database): Conflicts => ({
  record: async (conflicts, at, o) => {
    const kept: Conflict[] = [];
    for (let i = 0; i < conflicts.length; i += atOnce) {
      await inTransaction(database, o, async (connection) => {
        for (const c of conflicts.slice(i, i + atOnce)) kept.push(await recordOne(connection, c, at, o));
      });
    }
    return kept;
  },
  get: async (id, o) => {
    const [row] = await database.query('select * from lockstep_control.conflict where id = $1', [plainText(id)], o);
    return row && toConflict(row);
  },
  list: async (filter, o) => {
    const rows = await database.query(
      `select * from lockstep_control.conflict where ${conflictWhere} and ($9::text is null or id < $9)
       order by id desc limit $10`,
      [...conflictValues(filter), filter.before ?? null, filter.limit ?? 50],
      o,
    );
    return rows.map(toConflict);
  },
  count: async (filter, o) => {
    const sql = `select count(*) as n from lockstep_control.conflict where ${conflictWhere}`;
    const [row] = await database.query(sql, conflictValues(filter), o);
    return Number(row!['n']);
  },
  waiting: async function* (sync, pair, o) {
    let after = '';
    for (;;) {
      const rows = await database.query(
        `select * from lockstep_control.conflict
         where sync = $1 and pair = $2 and state in ('pending', 'decided') and id > $3 order by id limit ${atOnce}`,
        [plainText(sync), plainText(pair), after],
        o,
      );
      if (rows.length > 0) yield rows.map(toConflict);
      if (rows.length < atOnce) return;
      after = rows.at(-1)!['id'] as string;
    }
  },
  decide: (id, { by, at, why, ...resolution }, o) =>
    inTransaction(database, o, async (connection) => {
      const found = await connection.query(
        'select * from lockstep_control.conflict where id = $1 for update',
        [plainText(id)],
        o,
      );
      if (found[0] === undefined) throw missing(id);
      const now = toConflict(found[0]);
      if (now.state !== 'pending') throw notOpen(now);
      if (o.version !== undefined && o.version !== now.version) {
        throw new LockstepError(
          'CONFLICT_MOVED',
          `Conflict ${id} has changed since you saw it (version ${now.version}, not ${o.version}). Your choice was not applied.`,
          { hint: `Look at it again: lockstep conflicts show ${id}` },
        );
      }
      const [row] = await connection.query(
        `update lockstep_control.conflict
         set state = 'decided', version = version + 1, resolution = $2, decided_by = $3, decided_at = $4, why = $5
         where id = $1 returning *`,
        [plainText(id), JSON.stringify(resolution), plainText(by), toTime(at), plainOrNull(why)],
        o,
      );
      return toConflict(row!);
    }),
  close: (ids, how, o) => end(database, ids, how, o),
  reopen: async (id, now, at, o) => {
    await database.query(
      `update lockstep_control.conflict
       set state = 'pending', version = version + 1, source = $2, target = $3, reason = $4, run = $5, seen = $6,
         resolution = null, decided_by = null, decided_at = null, why = null
       where id = $1 and state in ('pending', 'decided')`,
      [plainText(id), toJson(now.source), toJson(now.target), plainText(now.reason), now.run, toTime(at)],
      o,
    );
  },
  waitingBySync: async (o) => {
    const rows = await database.query(
      `select sync, count(*) as pending, min(found) as oldest from lockstep_control.conflict
       where state = 'pending' group by sync order by sync`,
      [],
      o,
    );
    return rows.map((row) => ({
      sync: row['sync'] as string,
      pending: Number(row['pending']),
      oldest: fromTime(row['oldest'])!,
    }));
  },
});
