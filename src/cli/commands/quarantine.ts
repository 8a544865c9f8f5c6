import { LockstepError } from '../../model/errors.ts';
import type { QuarantinedRow, QuarantineFilter } from '../../model/quarantine.ts';
import type { Key } from '../../model/row.ts';
import type { Store } from '../../model/store.ts';
import { connectBoth } from '../../service/connect.ts';
import { scopeOf } from '../../service/job.ts';
import { audited } from '../../work/audited.ts';
import { alignAll } from '../../work/compare.ts';
import { type Retried, retryQuarantine } from '../../work/quarantine.ts';
import type { Command, Context, Flags } from '../context.ts';
import { askedBy, openControl } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { jobOf } from '../job.ts';
import { quarantineJson, quarantineTable, retriedJson, retriedTable } from '../output/quarantine-view.ts';
import { formatOf, limitOf } from '../read-flags.ts';

const actions = ['list', 'retry', 'drop'] as const;
type Action = (typeof actions)[number];

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

/** `lockstep quarantine list|retry|drop [SYNC[/PAIR]] [KEY…]` */
export const quarantine: Command = async (context, [action, what, ...key], flags) => {
  if (!actions.includes(action as Action))
    throw usage(`lockstep quarantine ${action}: expected ${actions.join(', ')}`, 'See lockstep quarantine --help.');
  const format = formatOf(flags, ['table', 'json'] as const, 'quarantine');
  const at = what?.indexOf('/') ?? -1;
  const [sync, pair] = at < 0 ? [what, undefined] : [what!.slice(0, at), what!.slice(at + 1)];
  if (action !== 'list' && sync === undefined)
    throw usage(
      `lockstep quarantine ${action}: which sync?`,
      `Write: lockstep quarantine ${action} SYNC[/PAIR] [KEY…]`,
    );
  if (key.length > 0 && pair === undefined)
    throw usage('a key is of one pair', `Write: lockstep quarantine ${action} ${sync}/PAIR ${key.join(' ')}`);
  const signal = AbortSignal.any([context.stop, context.now]);
  await using store = await openControl(context, flags, undefined, signal);
  const filter: QuarantineFilter = {
    ...(sync === undefined ? {} : { sync }),
    ...(pair === undefined ? {} : { pair: await pairNamed(store, sync!, pair, signal) }),
    ...(key.length === 0 ? {} : { keys: [key as unknown as Key] }),
  };
  if (key.length > 0 && (await store.quarantine.count(filter, { signal })) === 0)
    throw new LockstepError('NOT_FOUND', `${what} has no quarantined row with the key ${key.join(', ')}`, {
      hint: `See lockstep quarantine list ${what}.`,
    });
  if (action === 'drop') {
    const entry = {
      ...askedBy(context),
      action: 'quarantine.drop',
      object: `syncs/${sync}`,
      after: { pair: pair ?? null, key },
    };
    const dropped = await audited(
      store.audit,
      entry,
      { signal },
      () => store.quarantine.drop(filter, { signal }),
      (dropped) => ({ pair: pair ?? null, key, dropped }),
    );
    await context.out.write(
      format === 'json'
        ? `${JSON.stringify({ schema_version: 1, dropped })}\n`
        : `  dropped ${dropped}; rows that are still invalid come back with the next run\n`,
    );
    return exitCodes.ok;
  }
  if (action === 'retry') {
    const retried = await retry(context, flags, store, sync!, filter, signal);
    if (format === 'json') await retriedJson(context.out, retried);
    else await retriedTable(context.out, retried, sync!);
    return retried.stillInvalid > 0 ? exitCodes.incomplete : exitCodes.ok;
  }
  const most = flags.limit === undefined ? 50 : limitOf(flags.limit);
  const rows: QuarantinedRow[] = [];
  for await (const batch of store.quarantine.list(filter, { signal })) {
    rows.push(...batch.slice(0, most - rows.length));
    if (rows.length >= most) break;
  }
  const total = await store.quarantine.count(filter, { signal });
  if (format === 'json') await quarantineJson(context.out, rows, total);
  else await quarantineTable(context.out, rows, total);
  return exitCodes.ok;
};

/** The pair as it is recorded: its full name, or the table's name alone. */
const pairNamed = async (store: Store, sync: string, name: string, signal: AbortSignal): Promise<string> => {
  const known = new Set<string>();
  for await (const batch of store.quarantine.list({ sync }, { signal })) for (const row of batch) known.add(row.pair);
  if (known.has(name)) return name;
  const near = [...known].filter((pair) => pair.split('.').at(-1) === name);
  return near.length === 1 ? near[0]! : name;
};

const retry = async (
  context: Context,
  flags: Flags,
  store: Store,
  sync: string,
  filter: QuarantineFilter,
  signal: AbortSignal,
): Promise<Retried> => {
  const job = await jobOf(context, [sync], flags, false);
  await using sides = await connectBoth(context, job, signal);
  const { pairs } = await alignAll({
    source: sides.source,
    target: sides.target,
    ...scopeOf(job),
    signal,
  });
  const total = { stillInvalid: 0, valid: 0, gone: 0 };
  for (const pair of pairs) {
    if (filter.pair !== undefined && filter.pair !== pair.name) continue;
    const one = await retryQuarantine({
      store,
      clock: context.clock,
      sync,
      pair,
      ...(filter.keys ? { keys: filter.keys } : {}),
      source: sides.source,
      target: sides.target,
      signal,
    });
    total.stillInvalid += one.stillInvalid;
    total.valid += one.valid;
    total.gone += one.gone;
  }
  return total;
};
