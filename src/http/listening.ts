import { BlockList, isIP } from 'node:net';
import type { ServerSettings } from '../config/server.ts';
import { LockstepError } from '../model/errors.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Can only this machine come here? A name other than localhost may mean anything. */
export const isLoopback = (host: string): boolean => {
  const plain = host.replace(/^\[|\]$/g, '');
  const family = isIP(plain);
  return family === 0 ? plain === 'localhost' : loopback.check(plain, family === 6 ? 'ipv6' : 'ipv4');
};

const refuse = (what: string, details: readonly string[]): LockstepError =>
  new LockstepError('CONFIG', what, {
    details: ['Ways out:', ...details.map((line) => `  ${line}`)],
    hint: 'See docs/guide/security.md.',
  });

/**
 * May it listen there? Beyond this machine only when it knows who asks, and when tokens do not travel in the clear.
 * CONFIG with the ways out. `hasTokens`: somebody has made a token.
 */
export const mayListen = (
  host: string,
  settings: Pick<ServerSettings, 'auth' | 'tls' | 'trustedProxies'>,
  hasTokens: boolean,
): void => {
  if (isLoopback(host)) return;
  const here = 'only on this machine: --host 127.0.0.1';
  if (settings.auth?.mode === 'none')
    throw refuse(`\`server.auth.mode: none\` would let everybody who reaches ${host} do everything`, [
      here,
      'know who asks: server.auth.mode: tokens, or server.auth.jwt',
    ]);
  if (settings.auth === undefined && !hasTokens)
    throw refuse(`nothing says who may ask, and ${host} can be reached from other machines`, [
      here,
      'make a token: lockstep token create NAME --role viewer',
      'declare it: server: { auth: { mode: tokens } }; the first start then shows an admin token once',
      'an identity provider: server: { auth: { jwt: { issuer: …, audience: …, jwks_url: … } } }',
    ]);
  if (settings.tls === undefined && settings.trustedProxies.length === 0)
    throw refuse(`tokens would travel to ${host} in the clear`, [
      here,
      'TLS: server: { tls: { cert: "${file:/tls/tls.crt}", key: "${file:/tls/tls.key}" } }',
      'a proxy in front that does TLS: server: { proxy: { trusted: [10.0.0.0/8] } }, the addresses it comes from',
    ]);
};
