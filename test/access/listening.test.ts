import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstToken, makeToken } from '../../src/access/make-token.ts';
import { prepareAccess } from '../../src/http/prepare-access.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { redactor } from '../../src/lib/redact.ts';
import { LockstepError } from '../../src/model/errors.ts';
import { examineConfig } from '../../src/service/doctor.ts';
import { freshStore } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';
import { serverConfig } from './server-config.ts';

const secrets = redactor();
const fresh = await freshStore();

test('the first start says its token once, and the redactor knows it', async () => {
  const prepared = await prepareAccess({
    store: fresh.store,
    config: () => undefined,
    clock: systemClock,
    redactor: secrets,
    signal: o.signal,
  });
  assert.deepEqual([prepared.host, prepared.port], ['127.0.0.1', 8000]);
  const text = await prepared.welcome('http://127.0.0.1:8000');
  const secret = /lsk_\w{52}/.exec(text!)![0];
  assert.equal(secrets.redact(`a log line with ${secret}`), 'a log line with ***');
  assert.equal(await prepared.welcome('http://127.0.0.1:8000'), undefined);
});

test('it listens beyond this machine only when it knows who asks, and in no clear text', async () => {
  const fresh = await freshStore();
  const prepare = async (text: string, host?: string) => {
    const config = await serverConfig(text);
    return prepareAccess({
      store: fresh.store,
      config: () => config,
      ...(host === undefined ? {} : { host }),
      clock: systemClock,
      redactor: secrets,
      signal: o.signal,
    });
  };
  const refused = async (text: string, pattern: RegExp, host?: string): Promise<void> => {
    await assert.rejects(prepare(text, host), (error: unknown) => {
      assert.ok(error instanceof LockstepError);
      assert.equal(error.exit, 20);
      assert.match(error.message, pattern);
      assert.ok(error.details.length >= 3 && error.details.some((line) => line.includes('--host 127.0.0.1')));
      return true;
    });
  };
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'db.example', '', '::ffff:10.0.0.1'])
    await refused('', /nothing says who may ask/, host);
  for (const host of ['127.0.0.1', '127.8.9.1', '::1', 'localhost']) assert.equal((await prepare('', host)).host, host);
  await refused('server: { host: 0.0.0.0 }', /nothing says who may ask/);
  await refused('server: { host: 0.0.0.0, auth: { mode: none } }', /would let everybody/);
  await refused('server: { auth: { mode: none }, proxy: { trusted: [10.0.0.1] } }', /would let everybody/, '0.0.0.0');
  await refused('server: { host: 0.0.0.0, auth: { mode: tokens } }', /in the clear/);
  await prepare('server: { host: 0.0.0.0, auth: { mode: tokens }, proxy: { trusted: [10.0.0.1] } }');
  await prepare('server: { host: 0.0.0.0, auth: { mode: tokens }, tls: { cert: x, key: y } }');
  await firstToken(fresh.store.tokens, systemClock, o);
  await refused('server: { host: 0.0.0.0, proxy: { trusted: [10.0.0.1] } }', /nothing says who may ask/);
  await makeToken(fresh.store.tokens, { name: 'ci', role: 'viewer' }, { actor: 'me' }, systemClock, o);
  await prepare('server: { host: 0.0.0.0, proxy: { trusted: [10.0.0.1] } }');
  await refused('server: { host: 0.0.0.0 }', /in the clear/);
});

test('check says of the server what serve would', async () => {
  const found = async (text: string) =>
    examineConfig(await serverConfig(text))
      .filter((d) => d.about === 'server')
      .map((d) => [d.level, d.code, d.exit, d.message] as const);
  assert.deepEqual(await found('server: { port: 9000 }'), []);
  const [wrong] = await found('server: { proxy: { trusted: ["0.0.0.0/0"] } }');
  assert.deepEqual(wrong!.slice(0, 3), ['error', 'config', 20]);
  assert.match(wrong![3], /no address of a proxy/);
  const [unset] = await found('server: { port: "${env:NOT_SET_HERE}" }');
  assert.deepEqual(unset!.slice(0, 3), ['warning', 'secret_missing', undefined]);
  assert.match((await found('server: { auth: { mode: none } }'))[0]![3], /lets every program on this machine/);
});
