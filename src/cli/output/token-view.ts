import type { Token } from '../../model/tokens.ts';
import type { Out } from '../io.ts';
import { writeList } from './list.ts';
import { utc, utcOrNull } from './text.ts';

export const tokenJson = (token: Token): Record<string, unknown> => ({
  id: token.id,
  name: token.name,
  role: token.role,
  scopes: token.scopes,
  syncs: token.only === null ? null : (token.only.syncs ?? []),
  records: token.only === null ? null : (token.only.records ?? []),
  claims: token.claims,
  created_by: token.createdBy,
  created: utc(token.created),
  expires: utcOrNull(token.expires),
  last_used: utcOrNull(token.lastUsed),
  revoked: utcOrNull(token.revoked),
});

const reach = ({ only }: Token): string =>
  only === null
    ? 'everything'
    : [...(only.syncs ?? []).map((s) => `sync ${s}`), ...(only.records ?? []).map((r) => `entity ${r}`)].join(', ');

const state = (token: Token, now: number): string => {
  if (token.revoked !== null) return `revoked ${utc(token.revoked)}`;
  if (token.expires === null) return 'does not expire';
  return `${token.expires <= now ? 'expired' : 'until'} ${utc(token.expires)}`;
};

export const tokensTable = async (out: Out, tokens: readonly Token[], now: number): Promise<void> => {
  if (tokens.length === 0) {
    await out.write('  no tokens yet: lockstep token create NAME --role viewer\n');
    return;
  }
  const head = ['NAME', 'ID', 'MAY', 'FOR', 'LAST USED', 'STATE'];
  const rows = tokens.map((token) => [
    token.name,
    token.id,
    token.role ?? token.scopes.join(' '),
    reach(token),
    token.lastUsed === null ? 'never' : utc(token.lastUsed),
    state(token, now),
  ]);
  await writeList(out, head, rows);
};

/** The one time that the secret is shown. */
export const createdToken = (out: Out, token: Token, secret: string): Promise<void> =>
  out.write(
    [
      `  ${secret}`,
      '',
      `  token ${token.name}: ${token.role ?? token.scopes.join(' ')}, for ${reach(token)}, ${token.expires === null ? 'does not expire' : `until ${utc(token.expires)}`}`,
      '  It is shown this once and kept nowhere. Send it as: Authorization: Bearer …',
      '',
    ].join('\n'),
  );
