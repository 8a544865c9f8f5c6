import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { jwtVerifier } from '../../src/access/jwt.ts';
import { roles } from '../../src/access/roles.ts';
import { systemClock } from '../../src/lib/clock.ts';

const signal = new AbortController().signal;
const pair = async (kid: string, alg = 'ES256') => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, kid, alg, jwk: { ...(await exportJWK(publicKey)), kid, alg } satisfies JWK };
};
type Pair = Awaited<ReturnType<typeof pair>>;
const first = await pair('first');
const second = await pair('second');
const now = Date.parse('2026-11-21T12:00:00Z');
let elapsed = 0;
const clock = { ...systemClock, now: () => now, elapsed: () => elapsed };

const dir = mkdtempSync(join(tmpdir(), 'lockstep-jwt-'));
after(() => rmSync(dir, { recursive: true }));
const file = join(dir, 'keys.json');
writeFileSync(file, JSON.stringify({ keys: [first.jwk] }));
const rules = {
  issuer: 'https://idp.example',
  audience: ['lockstep'],
  jwks: { file },
  algorithms: ['ES256'],
  rolesClaim: 'roles',
  roles: undefined,
  scopesClaim: undefined,
  nameClaim: 'sub',
  syncsClaim: undefined,
  recordsClaim: undefined,
};
const token = (claims: Record<string, unknown> = {}, by: Pair = first): Promise<string> =>
  new SignJWT({
    iss: 'https://idp.example',
    aud: 'lockstep',
    sub: 'alice',
    exp: now / 1000 + 300,
    roles: ['viewer'],
    ...claims,
  })
    .setProtectedHeader({ alg: by.alg, kid: by.kid })
    .sign(by.privateKey);
const verify = jwtVerifier(rules, clock, { signal });
const refused = (pattern: RegExp) => (e: { code?: string; message?: string }) =>
  e.code === 'UNAUTHENTICATED' && pattern.test(e.message ?? '');

test('a good token says who asks, and what is good for', async () => {
  const alice = await verify(await token({ tenant: '7' }));
  assert.deepEqual(
    [alice.name, [...alice.scopes], alice.only, alice.claims['tenant']],
    ['oidc:alice', [...roles.viewer], undefined, '7'],
  );
  assert.equal((await verify(await token({ roles: undefined }))).scopes.size, 0, 'deny by default');
  assert.equal((await verify(await token({ roles: ['root', 'constructor', '__proto__'] }))).scopes.size, 0);
});

test('a token that is not for us, not of now or not signed by the issuer is refused', async () => {
  await assert.rejects(verify(await token({ iss: 'https://other.example' })), refused(/iss is not right/));
  await assert.rejects(verify(await token({ aud: 'other' })), refused(/aud is not right/));
  await assert.rejects(verify(await token({ aud: undefined })), refused(/aud is missing/));
  await assert.rejects(verify(await token({ exp: undefined })), refused(/exp is missing/));
  await assert.rejects(verify(await token({ exp: now / 1000 - 61 })), refused(/has expired/));
  await assert.rejects(verify(await token({ nbf: now / 1000 + 61 })), refused(/nbf is not right/));
  await verify(await token({ exp: now / 1000 - 59 }));
  await verify(await token({ nbf: now / 1000 + 59 }));
  await assert.rejects(verify(await token({ sub: undefined })), refused(/does not say who/));
  await assert.rejects(verify(await token({}, { ...second, kid: 'first' })), refused(/is not valid/));
  await assert.rejects(verify(await token({}, second)), refused(/a key that its issuer does not show/));
  const [head, body, mark] = (await token()).split('.') as [string, string, string];
  const other = (o: object): string => Buffer.from(JSON.stringify(o)).toString('base64url');
  await assert.rejects(
    verify([head, other({ sub: 'root', roles: ['admin'] }), mark].join('.')),
    refused(/is not valid/),
  );
  await assert.rejects(verify([other({ alg: 'none' }), body, ''].join('.')), refused(/not accepted here|not valid/));
});

test('signatures with a shared secret are never taken, least of all with the public key as the secret', async () => {
  const secret = new TextEncoder().encode(JSON.stringify(first.jwk));
  const forged = await new SignJWT({
    iss: rules.issuer,
    aud: 'lockstep',
    sub: 'root',
    roles: ['admin'],
    exp: now / 1000 + 300,
  })
    .setProtectedHeader({ alg: 'HS256', kid: 'first' })
    .sign(secret);
  await assert.rejects(verify(forged), refused(/signed in a way that is not accepted/));
  const rsa = await pair('rsa', 'RS256');
  await assert.rejects(verify(await token({}, rsa)), refused(/signed in a way that is not accepted/));
});

test('roles, scopes and bounds come from the claims that are named', async () => {
  const v = jwtVerifier(
    {
      ...rules,
      rolesClaim: 'realm_access.roles',
      roles: { 'lockstep-ops': 'operator' },
      scopesClaim: 'scope',
      nameClaim: 'email',
      syncsClaim: 'lockstep_syncs',
      recordsClaim: 'lockstep_records',
    },
    clock,
    { signal },
  );
  const claims = {
    email: 'bob@example.com',
    realm_access: { roles: ['lockstep-ops', 'admin'] },
    scope: 'openid records:read_masked',
  };
  const bob = await v(await token({ ...claims, lockstep_syncs: ['a', 'b'] }));
  assert.equal(bob.name, 'oidc:bob@example.com');
  assert.deepEqual([...bob.scopes].sort(), [...roles.operator, 'records:read_masked'].sort());
  assert.deepEqual(bob.only, { syncs: ['a', 'b'], records: [] });
  assert.deepEqual(
    (await v(await token(claims))).only,
    { syncs: [], records: [] },
    'who has no such claim is bound to nothing',
  );
  assert.equal((await v(await token({ ...claims, lockstep_syncs: '*', lockstep_records: ['*'] }))).only, undefined);
});

test('keys are rotated: by a new file, and by asking their address again', async () => {
  writeFileSync(file, JSON.stringify({ keys: [second.jwk, { comment: 'another' }] }));
  await assert.rejects(verify(await token({}, second)), refused(/a key that its issuer does not show/));
  elapsed += 5000;
  await verify(await token({}, second));
  await assert.rejects(verify(await token({}, first)), refused(/a key that its issuer does not show/));

  let keys: JWK[] = [first.jwk];
  let asked = 0;
  const server = createServer((_, reply) => {
    asked++;
    reply.end(JSON.stringify({ keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  const remote = () => jwtVerifier({ ...rules, jwks: { url, allowPrivate: true } }, clock, { signal });
  const v = remote();
  await Promise.all([v(await token()), v(await token()), v(await token())]);
  assert.equal(asked, 1);
  keys = [second.jwk];
  await assert.rejects(
    v(await token({}, second)),
    refused(/a key/),
    'not asked again at once, whatever keys are named',
  );
  assert.equal(asked, 1);
  await remote()(await token({}, second));
  const guarded = jwtVerifier({ ...rules, jwks: { url, allowPrivate: false } }, clock, { signal });
  await assert.rejects(
    guarded(await token()),
    (e: { code?: string; message?: string }) =>
      e.code === 'CONNECT' && /this machine or a private network/.test(e.message!),
  );
  assert.equal(asked, 2);
  server.close();
  server.closeAllConnections();
  await assert.rejects(remote()(await token()), (e: { code?: string }) => e.code === 'CONNECT');
});
