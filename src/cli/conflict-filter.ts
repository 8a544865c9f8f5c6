import { closest } from '../lib/suggest.ts';
import { type ConflictFilter, type ConflictState, conflictStates } from '../model/conflicts.ts';
import { LockstepError } from '../model/errors.ts';
import type { Key } from '../model/row.ts';
import type { Store } from '../model/store.ts';
import { type ConflictType, conflictTypes } from '../model/two-way.ts';
import type { Flags } from './context.ts';
import { listFlag } from './read-flags.ts';

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

/** Ids of conflicts. */
export const idPattern = /^c_[0-9a-z]{17}$/;

const words = <T extends string>(flag: string, given: readonly string[], known: readonly T[]): readonly T[] =>
  given.map((word) => {
    if ((known as readonly string[]).includes(word)) return word as T;
    const meant = closest(word, known);
    throw usage(
      `${flag} ${word}: expected ${known.join(', ')}`,
      meant === undefined ? 'See lockstep conflicts --help.' : `Did you mean ${meant}?`,
    );
  });

/** The pair as it is recorded: its full name, or the table's name alone. */
const pairNamed = async (
  store: Pick<Store, 'conflicts'>,
  sync: string | undefined,
  name: string,
  signal: AbortSignal,
): Promise<string> => {
  const of = sync === undefined ? {} : { sync };
  if ((await store.conflicts.count({ ...of, pair: name }, { signal })) > 0) return name;
  const some = await store.conflicts.list({ ...of, limit: 1000 }, { signal });
  const near = [...new Set(some.map((c) => c.pair))].filter((pair) => pair.split('.').at(-1) === name);
  return near.length === 1 ? near[0]! : name;
};

/** Which conflicts are meant: `SYNC[/PAIR] [KEY…]`, and flags. `states`: unless others are asked for. */
export const conflictFilter = async (
  store: Pick<Store, 'conflicts'>,
  flags: Flags,
  [what, key]: readonly [string | undefined, readonly string[]],
  states: readonly ConflictState[],
  signal: AbortSignal,
): Promise<ConflictFilter> => {
  const at = what?.indexOf('/') ?? -1;
  const [sync, written] = at < 0 ? [what, undefined] : [what!.slice(0, at), what!.slice(at + 1)];
  if (written !== undefined && flags.pair !== undefined)
    throw usage(`two pairs are named: ${written} and ${flags.pair}`, 'Name one.');
  if (sync !== undefined && flags.sync !== undefined)
    throw usage(`two syncs are named: ${sync} and ${flags.sync.join(', ')}`, 'Name one.');
  const one = sync ?? (flags.sync?.length === 1 ? flags.sync[0] : undefined);
  const pair = written ?? flags.pair;
  if (key.length > 0 && (one === undefined || pair === undefined))
    throw usage('a key is of one pair', `Write: SYNC/PAIR ${key.join(' ')}`);
  const kinds = listFlag(flags.kind);
  const asked = listFlag(flags.state);
  const wanted =
    asked === undefined ? states : asked.includes('all') ? conflictStates : words('--state', asked, conflictStates);
  return {
    ...(one === undefined ? {} : { sync: one }),
    ...(one === undefined && flags.sync !== undefined ? { syncs: flags.sync } : {}),
    ...(pair === undefined ? {} : { pair: await pairNamed(store, one, pair, signal) }),
    ...(key.length === 0 ? {} : { keys: [key as unknown as Key] }),
    ...(kinds === undefined ? {} : { types: words<ConflictType>('--kind', kinds, conflictTypes) }),
    ...(flags.column === undefined ? {} : { column: flags.column }),
    states: wanted,
  };
};

/** What the sides are called, as the run that met the conflict has it. */
export const namesOf = async (
  store: Pick<Store, 'runs'>,
  run: string,
  signal: AbortSignal,
): Promise<{ readonly source: string; readonly target: string }> => {
  const found = await store.runs.get(run, { signal });
  return { source: found?.source?.name ?? 'source', target: found?.target?.name ?? 'target' };
};
