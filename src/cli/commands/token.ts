import { makeToken, type TokenWish } from '../../access/make-token.ts';
import { durationFlag } from '../../config/units.ts';
import { LockstepError } from '../../model/errors.ts';
import type { JsonValue } from '../../model/json.ts';
import { audited } from '../../work/audited.ts';
import { configOf } from '../config-of.ts';
import { type Command, type Context, type Flags, tell } from '../context.ts';
import { askedBy, openControl } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { jsonText } from '../output/json-text.ts';
import { createdToken, tokenJson, tokensTable } from '../output/token-view.ts';
import { formatOf, pairFlag } from '../read-flags.ts';

const actions = ['create', 'list', 'revoke'] as const;
type Action = (typeof actions)[number];

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

const wishOf = (name: string, flags: Flags): TokenWish => ({
  name,
  ...(flags.role === undefined ? {} : { role: flags.role }),
  ...(flags.scope === undefined ? {} : { scopes: flags.scope }),
  ...(flags.sync === undefined ? {} : { syncs: flags.sync }),
  ...(flags.entity === undefined ? {} : { records: flags.entity }),
  ...(flags.claim === undefined
    ? {}
    : { claims: Object.fromEntries(flags.claim.map((text) => pairFlag('--claim', text, false))) }),
  ...(flags.expires === undefined ? {} : { expiresIn: durationFlag('--expires', flags.expires, '12h, 30d or 90d') }),
});

/** A name that the configuration does not know is most likely a slip. */
const checkNames = async (context: Context, flags: Flags): Promise<void> => {
  const config = await configOf(context, flags);
  if (config === undefined) return;
  const unknown = [
    ...(flags.sync ?? []).filter((name) => !Object.hasOwn(config.syncs, name)).map((name) => `sync ${name}`),
    ...(flags.entity ?? []).filter((name) => !Object.hasOwn(config.records, name)).map((name) => `entity ${name}`),
  ];
  if (unknown.length > 0) await tell(context, `  note: ${config.file} has no ${unknown.join(', no ')}`);
};

/** `lockstep token create|list|revoke [NAME]` */
export const token: Command = async (context, [action, name], flags) => {
  if (!actions.includes(action as Action))
    throw usage(`lockstep token ${action}: expected ${actions.join(', ')}`, 'See lockstep token --help.');
  if (action !== 'list' && name === undefined)
    throw usage(`lockstep token ${action}: which token?`, `Write: lockstep token ${action} NAME`);
  const format = formatOf(flags, ['table', 'json'] as const, 'token');
  const signal = AbortSignal.any([context.stop, context.now]);
  await using store = await openControl(context, flags, undefined, signal);
  if (action === 'list') {
    const tokens = await store.tokens.list({ signal });
    if (format === 'json')
      await context.out.write(`${jsonText({ schema_version: 1, tokens: tokens.map(tokenJson) })}\n`);
    else await tokensTable(context.out, tokens, context.clock.now());
    return exitCodes.ok;
  }
  const by = askedBy(context);
  const entry = { ...by, object: `tokens/${name}` };
  if (action === 'revoke') {
    const revoked = await audited(store.audit, { ...entry, action: 'token.revoke' }, { signal }, () =>
      store.tokens.revoke(name!, context.clock.now(), { signal }),
    );
    await context.out.write(
      format === 'json'
        ? `${jsonText({ schema_version: 1, token: tokenJson(revoked) })}\n`
        : `  revoked ${revoked.name}; running servers refuse it within a second\n`,
    );
    return exitCodes.ok;
  }
  const wish = wishOf(name!, flags);
  await checkNames(context, flags);
  const after = { ...wish } as unknown as JsonValue;
  const made = await audited(store.audit, { ...entry, action: 'token.create', after }, { signal }, () =>
    makeToken(store.tokens, wish, by, context.clock, { signal }),
  );
  if (format === 'json')
    await context.out.write(`${jsonText({ schema_version: 1, token: tokenJson(made.token), secret: made.secret })}\n`);
  else await createdToken(context.out, made.token, made.secret);
  return exitCodes.ok;
};
