import { isDeepStrictEqual } from 'node:util';
import type { Conflict, Conflicts, Decision, Resolution } from '../../model/conflicts.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Lock } from '../stored-values.ts';
import { atOnce, endConflicts, inParts, nothing, recordSome, tellAll } from './conflict-record.ts';
import { conflictPlace, conflictValues, conflictWhere, disputedNames, seenAnew, toConflict } from './conflict-rows.ts';
import type { Database } from './database.ts';
import { inTransaction } from './transaction.ts';
import { fromTime, plainText, toJson, toTime } from './values.ts';

const wordOf = (r: Resolution): string => `"${r.take}${'cells' in r ? ' with values by hand' : ''}"`;

const notOpen = (c: Conflict, choice: Decision): LockstepError => {
  const r = c.resolution;
  const was =
    r === null
      ? `Conflict ${c.id} is ${c.state} since ${new Date(c.closed ?? c.seen).toISOString()}`
      : `${r.by} resolved ${c.id} as ${wordOf(r)} at ${new Date(r.at).toISOString()}`;
  return new LockstepError('CONFLICT_RESOLVED', `${was}. Your choice ${wordOf(choice)} was not applied.`, {
    hint: `See it: lockstep conflicts show ${c.id}${c.state === 'decided' ? '. It is not written yet: --replace (`"replace": true` over the API) decides it anew' : ''}`,
  });
};

/** The same person said the same before: an answer was lost, and the question is repeated. */
const saidBefore = (c: Conflict, choice: Decision): boolean => {
  const said = ({ at: _, why: __, allowed: ___, ...rest }: Decision) => rest;
  return c.state === 'decided' && c.resolution !== null && isDeepStrictEqual(said(c.resolution), said(choice));
};

const missing = (id: string): LockstepError =>
  new LockstepError('NOT_FOUND', `There is no conflict ${id}.`, { hint: 'List them: lockstep conflicts list' });

/** Takes down a choice for the conflicts of these ids, which are `x.id`. The reason may quote a row, as values do. */
const chosen = `state = 'decided', version = version + 1, resolution = x.resolution, decided_by = $2, decided_at = $3
  from (select * from unnest($1::text[], $4::text[]) as x (id, resolution)) as x`;
const chosenValues = (ids: readonly string[], { by, at, ...resolution }: Decision): readonly unknown[] => [
  ids,
  plainText(by),
  toTime(at),
  (lock: Lock) => ids.map((id) => lock.text(JSON.stringify(resolution), `conflict ${id} resolution`)),
];

export const conflictsOf = (database: Database): Conflicts => ({
  record: async (conflicts, at, o) => {
    const kept: Conflict[] = [];
    for (const some of inParts(conflicts)) {
      kept.push(...(await inTransaction(database, o, (connection) => recordSome(connection, some, at, o))));
    }
    return kept;
  },
  get: async (id, o) => {
    const [row] = await database.query('select * from lockstep_control.conflict where id = $1', [plainText(id)], {
      ...o,
      place: conflictPlace,
    });
    return row && toConflict(row);
  },
  list: async (filter, o) => {
    const rows = await database.query(
      `select * from lockstep_control.conflict where ${conflictWhere} and ($9::text is null or id < $9)
       order by id desc limit $10`,
      [...conflictValues(filter), filter.before ?? null, filter.limit ?? 50],
      { ...o, place: conflictPlace },
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
        { ...o, place: conflictPlace },
      );
      if (rows.length > 0) yield rows.map(toConflict);
      if (rows.length < atOnce) return;
      after = rows.at(-1)!['id'] as string;
    }
  },
  decide: (id, choice, o) =>
    inTransaction(database, o, async (connection) => {
      const found = await connection.query(
        'select * from lockstep_control.conflict where id = $1 for update',
        [plainText(id)],
        { ...o, place: conflictPlace },
      );
      if (found[0] === undefined) throw missing(id);
      const now = toConflict(found[0]);
      const replaces = o.replace === true && now.state === 'decided';
      // Said again to replace it, what an earlier version took down is allowed now.
      if (saidBefore(now, choice) && !(replaces && now.resolution?.allowed !== choice.allowed)) return now;
      if (now.state !== 'pending' && !replaces) throw notOpen(now, choice);
      if (o.version !== undefined && o.version !== now.version) {
        throw new LockstepError(
          'CONFLICT_MOVED',
          `Conflict ${id} has changed since you saw it (version ${now.version}, not ${o.version}). Your choice was not applied.`,
          { hint: `Look at it again: lockstep conflicts show ${id}` },
        );
      }
      const [row] = await connection.query(
        `update lockstep_control.conflict c set ${chosen} where c.id = x.id returning c.*`,
        chosenValues([now.id], choice),
        { ...o, place: conflictPlace },
      );
      const decided = toConflict(row!);
      await tellAll(connection, { ...nothing(), decided: [decided] }, choice.at, o);
      return decided;
    }),
  decideEach: async (seen, choice, o) => {
    const all: Conflict[] = [];
    for (let i = 0; i < seen.length; i += atOnce) {
      const some = seen.slice(i, i + atOnce);
      await inTransaction(database, o, async (connection) => {
        const rows = await connection.query(
          `update lockstep_control.conflict c set ${chosen}
           where c.id = x.id and c.state = 'pending'
             and (c.id, c.version) in (select * from unnest($1::text[], $5::integer[]))
           returning c.*`,
          [
            ...chosenValues(
              some.map((c) => plainText(c.id)),
              choice,
            ),
            some.map((c) => c.version),
          ],
          { ...o, place: conflictPlace },
        );
        const decided = rows.map(toConflict);
        await tellAll(connection, { ...nothing(), decided }, choice.at, o);
        all.push(...decided);
      });
    }
    return all;
  },
  close: (ids, how, o) =>
    inTransaction(database, o, async (connection) => {
      const closed = await endConflicts(connection, ids, how, o);
      await tellAll(connection, { ...nothing(), [how.state]: closed }, how.at, o);
    }),
  reopen: (id, now, at, o) =>
    inTransaction(database, o, async (connection) => {
      const kept = (column: string, text: string | null) => (lock: Lock) =>
        lock.text(text, `conflict ${plainText(id)} ${column}`);
      const [found] = await connection.query(
        `select * from lockstep_control.conflict where id = $1 and state in ('pending', 'decided') for update`,
        [plainText(id)],
        { ...o, place: conflictPlace },
      );
      if (found === undefined) return;
      const { type, columns } = seenAnew(toConflict(found), now);
      const rows = await connection.query(
        `update lockstep_control.conflict
         set state = 'pending', version = version + 1, source = $2, target = $3, reason = $4, run = $5, seen = $6,
           type = $7, columns = $8, disputed = $9, resolution = null, decided_by = null, decided_at = null, why = null
         where id = $1 returning *`,
        [
          plainText(id),
          kept('source', toJson(now.source)),
          kept('target', toJson(now.target)),
          kept('reason', plainText(now.reason)),
          now.run,
          toTime(at),
          type,
          JSON.stringify(columns),
          disputedNames(columns),
        ],
        { ...o, place: conflictPlace },
      );
      await tellAll(connection, { ...nothing(), opened: rows.map(toConflict) }, at, o);
    }),
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
  tally: async (since, o) => {
    const rows = await database.query(
      `select sync, count(*) as found, count(*) filter (where state not in ('pending', 'decided')) as settled
       from lockstep_control.conflict where found >= $1 group by sync order by sync`,
      [toTime(since)],
      o,
    );
    return rows.map((row) => ({
      sync: row['sync'] as string,
      found: Number(row['found']),
      settled: Number(row['settled']),
    }));
  },
});
