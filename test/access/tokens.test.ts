import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authenticator } from '../../src/access/authenticate.ts';
import { firstToken, makeToken } from '../../src/access/make-token.ts';
import { mayAccess } from '../../src/access/may-access.ts';
import { roles } from '../../src/access/roles.ts';
import { type Scope, scopes } from '../../src/access/scopes.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import type { Tokens } from '../../src/model/tokens.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { freshStore } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';

const start = Date.parse('2026-11-21T12:00:00Z');
const held = (now = start): Clock & { pass(ms: number): void } => ({
  ...systemClock,
  now: () => now,
  elapsed: () => now - start,
  pass: (ms) => {
    now += ms;
  },
});
const by = { actor: 'me@laptop' };
const code = (c: string) => (error: unknown) => (error as { code?: string }).code === c;

const { store, database } = await freshStore();
const { tokens } = store;

test('the first start makes one admin token, once, whoever starts', async () => {
  const clock = held();
  await using other = await openPostgresStore(urlConnector(database.url), o);
  const made = await Promise.all([tokens, other.tokens, tokens, other.tokens].map((t) => firstToken(t, clock, o)));
  const secrets = made.filter((secret) => secret !== undefined);
  assert.equal(secrets.length, 1);
  const who = authenticator({ tokens, clock });
  const admin = await who.principal(secrets[0]!, o);
  assert.deepEqual([admin.name, [...admin.scopes].sort()], ['token:first-start', [...scopes].sort()]);
  clock.pass(24 * 3_600_000 + 1);
  await assert.rejects(who.principal(secrets[0]!, o), /expired on 2026-11-22 12:00 UTC/);
  assert.equal(await firstToken(tokens, clock, o), undefined);
});

test('a token is kept as a hash, found by its secret, and refused once revoked or expired', async () => {
  const clock = held();
  const who = authenticator({ tokens, clock });
  const { token, secret } = await makeToken(tokens, { name: 'ci', role: 'viewer', expiresIn: 60_000 }, by, clock, o);
  assert.match(secret, /^lsk_[0-9a-z]{52}$/);
  const { rows } = await database.query('select t::text as row from lockstep_control.token t');
  assert.ok(rows.length > 0 && rows.every((r) => !String(r['row']).includes(secret.slice(4, 14))));
  const principal = await who.principal(secret, o);
  assert.deepEqual([...principal.scopes], roles.viewer);
  assert.equal(principal.only, undefined);
  clock.pass(60_000);
  await assert.rejects(who.principal(secret, o), /\(ci\) expired/);
  await assert.rejects(makeToken(tokens, { name: 'ci', role: 'viewer' }, by, clock, o), code('CONFLICT'));
  await tokens.revoke('ci', clock.now(), o);
  const second = await makeToken(tokens, { name: 'ci', scopes: ['runs:read'] }, by, clock, o);
  assert.deepEqual([...(await who.principal(second.secret, o)).scopes], ['runs:read']);
  assert.equal((await tokens.revoke(token.id, clock.now() + 5, o)).revoked, clock.now(), 'revoked once');
  await tokens.revoke(second.token.id, clock.now(), o);
  assert.equal((await who.principal(second.secret, o)).name, 'token:ci', 'within the second that a look is good for');
  clock.pass(1000);
  await assert.rejects(who.principal(second.secret, o), /was revoked on/);
  await assert.rejects(tokens.revoke('nobody', clock.now(), o), code('NOT_FOUND'));
  for (const wrong of ['', 'lsk_', `${secret}x`, secret.replace('lsk_', 'lsk-'), `lsk_${'0'.repeat(52)}`])
    await assert.rejects(who.principal(wrong, o), code('UNAUTHENTICATED'));
});

test('last use is written at most once a minute', async () => {
  const clock = held();
  const { token, secret } = await makeToken(tokens, { name: 'used', role: 'viewer' }, by, clock, o);
  let writes = 0;
  const counted: Tokens = {
    ...tokens,
    used: async (...args) => {
      writes++;
      return tokens.used(...args);
    },
  };
  const who = authenticator({ tokens: counted, clock });
  const lastUsed = async () => (await tokens.list(o)).find((t) => t.id === token.id)?.lastUsed;
  await who.principal(secret, o);
  while ((await lastUsed()) === null);
  assert.equal(await lastUsed(), start);
  for (let i = 0; i < 5; i++) {
    clock.pass(5000);
    await who.principal(secret, o);
  }
  assert.equal(writes, 1);
  assert.equal(await lastUsed(), start);
  clock.pass(60_000);
  await who.principal(secret, o);
  assert.equal(writes, 2);
});

test('many requests at once ask the control store once, and a short failure of it keeps nobody out', async () => {
  const clock = held();
  const { secret } = await makeToken(tokens, { name: 'busy', role: 'viewer' }, by, clock, o);
  let asked = 0;
  let down = false;
  const who = authenticator({
    clock,
    tokens: {
      ...tokens,
      byHash: async (hash, c) => {
        asked++;
        if (down) {
          const { LockstepError } = await import('../../src/model/errors.ts');
          throw new LockstepError('CONNECT', 'the control store is away');
        }
        return tokens.byHash(hash, c);
      },
    },
  });
  await Promise.all(Array.from({ length: 50 }, () => who.principal(secret, o)));
  assert.equal(asked, 1);
  down = true;
  clock.pass(59_000);
  assert.equal((await who.principal(secret, o)).name, 'token:busy');
  clock.pass(2000);
  await assert.rejects(who.principal(secret, o), code('CONNECT'));
});

test('nobody hands out more than he has', async () => {
  const clock = held();
  const maker = (given: readonly Scope[], only?: { syncs?: string[]; records?: string[] }) => ({
    actor: 'token:maker',
    principal: { name: 'token:maker', scopes: new Set(given), claims: {}, ...(only ? { only } : {}) },
  });
  let n = 0;
  const make = (from: ReturnType<typeof maker>, wish: object) =>
    makeToken(tokens, { name: `given-${n++}`, ...wish }, from, clock, o);
  const small = maker(['tokens:manage', 'runs:read']);
  await make(small, { scopes: ['runs:read'] });
  await assert.rejects(make(small, { scopes: ['runs:create'] }), code('FORBIDDEN'));
  await assert.rejects(make(small, { role: 'admin' }), code('FORBIDDEN'));
  const bound = maker(['tokens:manage', 'runs:read'], { syncs: ['a', 'b'] });
  await make(bound, { scopes: ['runs:read'], syncs: ['a'] });
  await assert.rejects(make(bound, { scopes: ['runs:read'] }), code('FORBIDDEN'));
  await assert.rejects(make(bound, { scopes: ['runs:read'], syncs: ['a', 'c'] }), code('FORBIDDEN'));
  await assert.rejects(make(bound, { scopes: ['runs:read'], syncs: ['a'], records: ['x'] }), code('FORBIDDEN'));
  const tenant = { actor: 'x', principal: { ...small.principal, claims: { tenant: '1' } } };
  await make(tenant, { scopes: ['runs:read'], claims: { tenant: '1' } });
  const nested = { actor: 'x', principal: { ...small.principal, claims: { org: { id: '1' }, iss: 'https://idp' } } };
  await make(nested, { scopes: ['runs:read'] });
  await make(nested, { scopes: ['runs:read'], claims: { 'org.id': '1' } });
  await assert.rejects(make(nested, { scopes: ['runs:read'], claims: { 'org.id': '2' } }), code('FORBIDDEN'));
  await assert.rejects(make(tenant, { scopes: ['runs:read'], claims: { tenant: '2' } }), code('FORBIDDEN'));
  const lacks = (error: { code?: string; message: string }) =>
    error.code === 'FORBIDDEN' && /a claim that its maker lacks: tenant/.test(error.message);
  await assert.rejects(make(small, { scopes: ['runs:read'], claims: { tenant: '1' } }), lacks);
  await assert.rejects(make(maker(scopes), { role: 'admin', claims: { tenant: '1' } }), lacks);
  await assert.rejects(make(nested, { scopes: ['runs:read'], claims: { org: '[object Object]' } }), code('FORBIDDEN'));
});

test('a wrong wish is told in words', async () => {
  const make = (wish: object) => makeToken(tokens, { name: 'w', ...wish }, by, held(), o);
  await assert.rejects(make({}), /what may the token do/);
  await assert.rejects(make({ role: 'viewer', scopes: ['runs:read'] }), /not both/);
  await assert.rejects(make({ role: 'vewer' }), (e: { hint?: string }) => /Did you mean viewer/.test(e.hint ?? ''));
  await assert.rejects(make({ scopes: ['run:read'] }), (e: { hint?: string }) => /runs:read/.test(e.hint ?? ''));
  await assert.rejects(make({ scopes: [] }), /can do nothing/);
  await assert.rejects(make({ name: 't_x', role: 'viewer' }), /is no name for a token/);
  await assert.rejects(make({ name: 'a\nb', role: 'viewer' }), /is no name for a token/);
  await assert.rejects(make({ role: 'viewer', expiresIn: 0 }), /must expire later/);
});

test('who is bound sees only what he is bound to', () => {
  const principal = (only?: { syncs?: string[]; records?: string[] }) => ({
    name: 'p',
    scopes: new Set<Scope>(),
    claims: {},
    ...(only ? { only } : {}),
  });
  assert.ok(mayAccess(principal(), { sync: null }) && mayAccess(principal(), { record: 'x' }));
  const one = principal({ syncs: ['a'] });
  assert.deepEqual(
    [{ sync: 'a' }, { sync: 'b' }, { sync: null }, { record: 'a' }].map((object) => mayAccess(one, object)),
    [true, false, false, false],
  );
  const entity = principal({ records: ['a'] });
  assert.deepEqual(
    [{ record: 'a' }, { record: 'b' }, { sync: 'a' }, { sync: null }].map((object) => mayAccess(entity, object)),
    [true, false, false, false],
  );
  assert.ok(!mayAccess(principal({}), { sync: 'a' }));
});
