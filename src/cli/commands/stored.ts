import { LockstepError } from '../../model/errors.ts';
import type { StoredKeyState } from '../../model/stored-keys.ts';
import { audited } from '../../work/audited.ts';
import type { Command } from '../context.ts';
import { askedBy, openControl } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { jsonText } from '../output/json-text.ts';
import { formatOf } from '../read-flags.ts';

const actions = ['keys', 'rekey'] as const;
type Action = (typeof actions)[number];

const keyJson = (key: StoredKeyState) => ({
  id: key.id,
  made: new Date(key.made).toISOString(),
  wrapped_by: key.wrappedBy,
  known: key.known,
  current: key.current,
});

const lineOf = (key: StoredKeyState): string =>
  `  ${key.id}  ${new Date(key.made).toISOString().slice(0, 16)}Z  wrapped by ${key.wrappedBy}${key.known ? '' : ' (not configured here)'}${key.current ? '  current' : ''}\n`;

/** `lockstep stored keys|rekey` */
export const stored: Command = async (context, [action], flags) => {
  if (!actions.includes(action as Action))
    throw new LockstepError('USAGE', `lockstep stored ${action}: expected ${actions.join(' or ')}`, {
      hint: 'See lockstep stored --help.',
    });
  const format = formatOf(flags, ['table', 'json'] as const, 'stored');
  const signal = AbortSignal.any([context.stop, context.now]);
  await using store = await openControl(context, flags, undefined, signal);
  const entry = { ...askedBy(context), action: 'stored.rekey', object: 'stored/keys' };
  const keys =
    action === 'keys'
      ? await store.storedKeys.list({ signal })
      : await audited(
          store.audit,
          entry,
          { signal },
          () => store.storedKeys.rekey({ signal }),
          (all) => ({ keys: all.length, wrapped_by: all.at(-1)?.wrappedBy ?? null }),
        );
  if (format === 'json') await context.out.write(`${jsonText({ schema_version: 1, keys: keys.map(keyJson) })}\n`);
  else if (keys.length === 0) await context.out.write('  nothing is encrypted in this control store\n');
  else for (const key of keys) await context.out.write(lineOf(key));
  return exitCodes.ok;
};
