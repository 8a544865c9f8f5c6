import type { Cancel } from '../../model/cancel.ts';
import type { Conflict, Conflicts, NewConflict } from '../../model/conflicts.ts';
import type { Event } from '../../model/service.ts';
import { addConflicts, toConflict } from './conflict-rows.ts';
import type { Connection } from './database.ts';
import { addEvents } from './events.ts';
import { hashOf } from './key-hash.ts';
import { plainText, toJson, toTime } from './values.ts';

/** Rows per statement. */
export const atOnce = 500;
/** More of one kind at once are told in one event. */
const eachUpTo = 100;

type What = 'opened' | 'ruled' | 'decided' | 'resolved' | 'gone';

/** What has become of conflicts, for whoever listens. Names no key and no value. */
const eventsOf = (what: What, conflicts: readonly Conflict[], at: number): readonly Omit<Event, 'id'>[] =>
  [...Map.groupBy(conflicts, (c) => JSON.stringify([c.sync, c.pair]))].flatMap(([, some]): Omit<Event, 'id'>[] => {
    const { sync, pair } = some[0]!;
    const common = { at, type: `conflict.${what}`, sync, correlation: null };
    if (some.length > eachUpTo) {
      return [{ ...common, subject: `syncs/${sync}`, data: { pair, conflicts: some.length } }];
    }
    return some.map((c) => ({
      ...common,
      subject: `conflicts/${c.id}`,
      data: {
        conflict: c.id,
        pair,
        type: c.type,
        run: c.closedBy ?? c.run,
        ...(c.policy === undefined ? {} : { policy: c.policy }),
        ...(c.resolution === null ? {} : { take: c.resolution.take, by: c.resolution.by }),
      },
    }));
  });

/** What has happened, to be told as one. */
type Told = Readonly<Record<What, Conflict[]>>;

/** Nothing has happened yet. */
export const nothing = (): Told => ({ opened: [], ruled: [], decided: [], resolved: [], gone: [] });

/** In a transaction, as its last statement. */
export const tellAll = (connection: Connection, told: Told, at: number, o: Cancel): Promise<void> =>
  addEvents(
    connection,
    (Object.keys(told) as What[]).flatMap((what) => eventsOf(what, told[what], at)),
    o,
  );

/** Arrays of what conflicts are found by, to be unnested. */
const placesOf = (some: readonly NewConflict[]): readonly unknown[] => [
  some.map((c) => plainText(c.sync)),
  some.map((c) => plainText(c.pair)),
  some.map((c) => hashOf(c.key)),
];
const nameOf = (c: NewConflict | Conflict): string => JSON.stringify([c.sync, c.pair, c.key]);

/** Records, of which no key comes twice; gives them in the order given. */
export const recordSome = async (
  connection: Connection,
  some: readonly NewConflict[],
  at: number,
  o: Cancel,
): Promise<readonly Conflict[]> => {
  const told = nothing();
  const known = new Map<NewConflict, Conflict>();
  const take = (given: readonly NewConflict[], found: readonly Conflict[]): void => {
    const byName = new Map(found.map((c) => [nameOf(c), c]));
    for (const c of given) {
      const is = byName.get(nameOf(c));
      if (is !== undefined) known.set(c, is);
    }
  };
  const [ruled, waiting] = [some.filter((c) => c.state === 'ruled'), some.filter((c) => c.state === 'pending')];
  if (ruled.length > 0) {
    // Told again after an interruption.
    const rows = await connection.query(
      `select * from lockstep_control.conflict
       where state = 'ruled' and (sync, pair, hash, run) in (select * from unnest($1::text[], $2::text[], $3::bytea[], $4::text[]))`,
      [...placesOf(ruled), ruled.map((c) => c.run)],
      o,
    );
    take(ruled, rows.map(toConflict));
  }
  if (waiting.length > 0) {
    const rows = await connection.query(
      `select * from lockstep_control.conflict
       where state in ('pending', 'decided') and (sync, pair, hash) in (select * from unnest($1::text[], $2::text[], $3::bytea[]))
       order by id for update`,
      placesOf(waiting),
      o,
    );
    const open = new Map(rows.map(toConflict).map((c) => [nameOf(c), c]));
    const there = waiting.flatMap((c) => {
      const was = open.get(nameOf(c));
      return was === undefined ? [] : [{ c, was }];
    });
    const same = there.filter(({ c, was }) => was.type === c.type && sameRows(was, c));
    if (same.length > 0) {
      const seen = await connection.query(
        'update lockstep_control.conflict set seen = $2 where id = any ($1) returning *',
        [same.map(({ was }) => was.id), toTime(at)],
        o,
      );
      take(waiting, seen.map(toConflict));
    }
    const other = there.filter((x) => !same.includes(x));
    for (const [run, gone] of Map.groupBy(other, ({ c }) => c.run)) {
      const ids = gone.map(({ was }) => was.id);
      told.gone.push(...(await endConflicts(connection, ids, { state: 'gone', run, at }, o)));
    }
  }
  const added = some.filter((c) => !known.has(c));
  for (const [i, made] of (await addConflicts(connection, added, at, o)).entries()) {
    known.set(added[i]!, made);
    told[made.state === 'ruled' ? 'ruled' : 'opened'].push(made);
  }
  await tellAll(connection, told, at, o);
  return some.map((c) => known.get(c)!);
};

const sameRows = (a: NewConflict | Conflict, b: NewConflict): boolean =>
  toJson(a.source) === toJson(b.source) && toJson(a.target) === toJson(b.target);

/** Parts in which no key comes twice. */
export const inParts = function* (conflicts: readonly NewConflict[]): Iterable<readonly NewConflict[]> {
  let part = new Map<string, NewConflict>();
  for (const c of conflicts) {
    const name = `${c.state} ${nameOf(c)}`;
    if (part.has(name) || part.size >= atOnce) {
      yield [...part.values()];
      part = new Map();
    }
    part.set(name, c);
  }
  if (part.size > 0) yield [...part.values()];
};

/** Closes those that are open, and gives them. */
export const endConflicts = async (
  connection: Pick<Connection, 'query'>,
  ids: readonly string[],
  { state, run, at }: Parameters<Conflicts['close']>[1],
  o: Cancel,
): Promise<readonly Conflict[]> => {
  const rows = await connection.query(
    `update lockstep_control.conflict set state = $2, closed = $3, closed_by = $4, version = version + 1
     where id = any ($1) and state in ('pending', 'decided') returning *`,
    [ids, state, toTime(at), run],
    o,
  );
  return rows.map(toConflict);
};
