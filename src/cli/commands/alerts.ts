import { send } from '../../alerts/send.ts';
import { durationFlag } from '../../config/units.ts';
import { newId } from '../../lib/ids.ts';
import type { Silence } from '../../model/alerts.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Store } from '../../model/store.ts';
import { audited } from '../../work/audited.ts';
import { configOf } from '../config-of.ts';
import type { Command, Context, Flags } from '../context.ts';
import { askedBy, openControl } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { alertJson, alertsTable, silenceJson } from '../output/alert-view.ts';
import { jsonText } from '../output/json-text.ts';
import { formatOf, limitOf } from '../read-flags.ts';

const actions = ['list', 'ack', 'silence', 'unsilence', 'test'] as const;
type Action = (typeof actions)[number];

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

/** Sends a test message to a channel of the configuration, now. */
const testChannel = async (context: Context, flags: Flags, name: string, o: Cancel): Promise<void> => {
  const config = await configOf(context, flags);
  const channels = config?.alerts.channels ?? {};
  const channel = Object.hasOwn(channels, name) ? channels[name] : undefined;
  if (channel === undefined)
    throw new LockstepError('NOT_FOUND', `the configuration has no channel ${name}`, {
      hint: `Channels: ${Object.keys(channels).join(', ') || 'none'}.`,
    });
  const made = context.clock.now();
  const body = { schema_version: 1, type: 'test', sync: null, at: new Date(made).toISOString(), alerts: [] } as const;
  try {
    await send(channel, { id: newId('msg', made), channel: name, body, made, attempts: 0 }, made, o);
  } catch (error) {
    if (error instanceof LockstepError || o.signal.aborted) throw error;
    throw new LockstepError('CONNECT', `nothing was sent to ${error instanceof Error ? error.message : name}`, {
      hint: 'Check the address and the secret of the channel.',
    });
  }
};

const silenceOf = (context: Context, flags: Flags, name: string): Silence => {
  if (flags.for === undefined) throw usage('for how long?', `Write: lockstep alerts silence ${name} --for 2h`);
  const at = context.clock.now();
  return {
    id: newId('si', at),
    rule: null,
    sync: name === 'all' ? null : name,
    subject: null,
    until: at + durationFlag('--for', flags.for, '30m, 2h or 7d'),
    reason: flags.reason ?? 'by hand',
    by: askedBy(context).actor,
    at,
  };
};

const change = async (
  context: Context,
  flags: Flags,
  store: Store,
  action: Exclude<Action, 'list' | 'test'>,
  name: string,
  o: Cancel,
): Promise<{ readonly said: string; readonly json: unknown }> => {
  const by = askedBy(context);
  const entry = (object: string) => ({ ...by, action: `alert.${action}`, object });
  if (action === 'ack') {
    const ack = { by: by.actor, at: context.clock.now(), note: flags.reason ?? null };
    const acked = await audited(store.audit, { ...entry(`alerts/${name}`), action: 'alert.acknowledge' }, o, () =>
      store.alerts.acknowledge(name, ack, o),
    );
    return { said: `acknowledged ${acked.id}`, json: { alert: alertJson(acked) } };
  }
  if (action === 'unsilence') {
    const ended = await audited(store.audit, entry(`silences/${name}`), o, () => store.alerts.unsilence(name, o));
    if (!ended) throw new LockstepError('NOT_FOUND', `there is no silence ${name}`, { hint: 'See lockstep alerts.' });
    return { said: `ended ${name}`, json: { ended: name } };
  }
  const config = await configOf(context, flags);
  if (name !== 'all' && config !== undefined && !Object.hasOwn(config.syncs, name))
    throw new LockstepError('NOT_FOUND', `there is no sync \`${name}\``, {
      hint: `Syncs: ${Object.keys(config.syncs).join(', ') || 'none'}; or all.`,
    });
  const silence = silenceOf(context, flags, name);
  await audited(store.audit, entry(`silences/${silence.id}`), o, () => store.alerts.silence(silence, o));
  return {
    said: `silenced ${name} until ${new Date(silence.until).toISOString()}; to end it: lockstep alerts unsilence ${silence.id}`,
    json: { silence: silenceJson(silence) },
  };
};

/** `lockstep alerts [list|ack|silence|unsilence|test] [NAME]` */
export const alerts: Command = async (context, [action = 'list', name], flags) => {
  if (!actions.includes(action as Action))
    throw usage(`lockstep alerts ${action}: expected ${actions.join(', ')}`, 'See lockstep alerts --help.');
  if (action !== 'list' && name === undefined)
    throw usage(`lockstep alerts ${action}: which one?`, 'See lockstep alerts --help.');
  const format = formatOf(flags, ['table', 'json'] as const, 'alerts');
  const o = { signal: AbortSignal.any([context.stop, context.now]) };
  const say = async (said: string, json: object): Promise<number> => {
    await context.out.write(format === 'json' ? `${jsonText({ schema_version: 1, ...json })}\n` : `  ${said}\n`);
    return exitCodes.ok;
  };
  if (action === 'test') {
    await testChannel(context, flags, name!, o);
    return say(`sent a test message to ${name}`, { sent: name });
  }
  await using store = await openControl(context, flags, undefined, o.signal);
  if (action !== 'list') {
    const { said, json } = await change(context, flags, store, action as Exclude<Action, 'list' | 'test'>, name!, o);
    return say(said, json as object);
  }
  // With a limit resolved ones are shown, too.
  const limit = flags.limit === undefined ? undefined : Math.min(10_000, limitOf(flags.limit));
  const found = await store.alerts.list(
    limit === undefined ? { states: ['pending', 'firing'], limit: 1000 } : { limit },
    o,
  );
  const silences = await store.alerts.silences(context.clock.now(), o);
  if (format === 'json') return say('', { alerts: found.map(alertJson), silences: silences.map(silenceJson) });
  await alertsTable(context.out, found, silences, context.redactor.redact);
  return exitCodes.ok;
};
