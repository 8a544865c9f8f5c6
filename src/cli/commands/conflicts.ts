import { LockstepError } from '../../model/errors.ts';
import type { Store } from '../../model/store.ts';
import { findConflict } from '../../work/two-way/resolve.ts';
import { conflictFilter, namesOf } from '../conflict-filter.ts';
import type { Command, Context, Flags } from '../context.ts';
import { openControl } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { conflictJson, conflictList, conflictTable } from '../output/conflict-view.ts';
import { formatOf, limitFlag } from '../read-flags.ts';

const actions = ['list', 'show', 'resolve', 'replay'] as const;
type Action = (typeof actions)[number];

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

/** `lockstep conflicts list|show|resolve|replay [ID | SYNC[/PAIR]] [KEY…]` */
export const conflicts: Command = async (context, [action, what, ...key], flags) => {
  if (!actions.includes(action as Action))
    throw usage(`lockstep conflicts ${action}: expected ${actions.join(', ')}`, 'See lockstep conflicts --help.');
  const signal = AbortSignal.any([context.stop, context.now]);
  const idle = (
    ['take', 'set', 'setNull', 'why', 'later', 'now', 'replace', 'allowDeletes', 'maxChanges'] as const
  ).find((flag) => action !== 'resolve' && flags[flag] !== undefined);
  if (idle !== undefined)
    throw usage(
      `--${idle.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} is for conflicts resolve`,
      'Leave it away.',
    );
  await using store = await openControl(context, flags, undefined, signal);
  switch (action as Action) {
    case 'list':
      return await list(context, flags, store, [what, key], signal);
    case 'show':
      return await show(context, flags, store, what, signal);
    case 'resolve':
      return await (await import('../conflicts-resolve.ts')).resolve(context, flags, store, [what, key]);
    case 'replay':
      return await (await import('../conflicts-replay.ts')).replay(context, flags, store, [what, key]);
  }
};

const page = 500;

const list = async (
  context: Context,
  flags: Flags,
  store: Store,
  [what, key]: readonly [string | undefined, readonly string[]],
  signal: AbortSignal,
): Promise<number> => {
  const format = formatOf(flags, ['table', 'json', 'jsonl', 'csv'] as const, 'conflicts list');
  const limit = limitFlag(flags, format);
  const filter = await conflictFilter(store, flags, [what, key], ['pending', 'decided'], signal);
  const total = await store.conflicts.count(filter, { signal });
  const out = conflictList(context.out, format);
  let left = Math.min(limit, total);
  for (let before: string | undefined; left > 0; ) {
    const some = await store.conflicts.list(
      { ...filter, limit: Math.min(page, left), ...(before === undefined ? {} : { before }) },
      { signal },
    );
    if (some.length === 0) break;
    await out.add(some);
    left -= some.length;
    before = some.at(-1)!.id;
  }
  await out.end(total);
  return exitCodes.ok;
};

const show = async (
  context: Context,
  flags: Flags,
  store: Store,
  id: string | undefined,
  signal: AbortSignal,
): Promise<number> => {
  const format = formatOf(flags, ['table', 'json'] as const, 'conflicts show');
  if (id === undefined)
    throw usage(
      'lockstep conflicts show: which one?',
      'Write: lockstep conflicts show ID. Ids: lockstep conflicts list.',
    );
  const conflict = await findConflict(store, id, { signal });
  const names = await namesOf(store, conflict.run, signal);
  if (format === 'json') await conflictJson(context.out, conflict, names);
  else await conflictTable(context.out, conflict, names);
  return exitCodes.ok;
};
