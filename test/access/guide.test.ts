import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type RoleName, roleNames, roles } from '../../src/access/roles.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Api } from '../../src/http/api.ts';
import { prepareAccess } from '../../src/http/prepare-access.ts';
import { me } from '../../src/http/routes/me.ts';
import { startHttp } from '../../src/http/server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { redactor } from '../../src/lib/redact.ts';
import { inProcess } from '../cli/in-process.ts';
import { freshStore } from '../store/fresh-store.ts';
import { o } from '../store/plain.ts';

/** docs/guide/security.md, by what happens when one does what it says. */
const page = readFileSync(new URL('../../docs/guide/security.md', import.meta.url), 'utf8');
const blocks = (kind: string): readonly string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${kind}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, block]) => block!);
const { store, database } = await freshStore();
const { database: keyed } = await freshStore();
const dir = mkdtempSync(join(tmpdir(), 'lockstep-security-'));
after(() => rmSync(dir, { recursive: true }));
const key = 'the key of a test store';
const storedKey = 'c2VjcmV0IG9mIHRoZSBzdG9yZWQgdmFsdWVzIG9mIHRlc3Q=';

test('every command of the page does what it says', async () => {
  const commands = blocks('console').flatMap((block) => [...block.matchAll(/^\$ lockstep (.*)$/gm)].map(([, c]) => c!));
  assert.ok(commands.length >= 12, `saw only ${commands.length}`);
  for (const command of commands) {
    const [line, file] = command.split(' > ') as [string, string?];
    // A store with a key is closed to who has none: those commands have one of their own.
    const withKey = line.startsWith('stored ');
    const { code, stdout, stderr } = await inProcess(
      [...line.split(' '), '--control', withKey ? keyed.url : database.url],
      { cwd: dir, env: { LOCKSTEP_AUDIT_KEY: key, ...(withKey ? { LOCKSTEP_STORED_KEY: storedKey } : {}) } },
    );
    assert.equal(code, 0, `${command}: ${stderr}`);
    if (file !== undefined) writeFileSync(join(dir, file), stdout);
    if (line.startsWith('token create')) assert.match(stdout, /lsk_/);
  }
  const names = (await store.tokens.list(o)).map((t) => t.name).toSorted();
  assert.deepEqual(names, ['alice', 'night', 'shop', 'tenant7']);
});

test('every piece of configuration is one, and means what is said', async () => {
  const pieces = blocks('yaml');
  const endpoints = `{ billing: { url: "sqlite:a.db" }, crm: { url: "sqlite:b.db", writable: true } }`;
  assert.ok(pieces.length >= 5);
  for (const name of ['tls.crt', 'tls.key', 'audit-2025.key']) writeFileSync(join(dir, name), `the content of ${name}`);
  for (const piece of pieces) {
    const file = join(dir, 'lockstep.yaml');
    writeFileSync(file, `version: 1\nendpoints: ${endpoints}\n${piece.replaceAll('/etc/lockstep/', `${dir}/`)}`);
    const env = { LOCKSTEP_AUDIT_KEY: key, LOCKSTEP_STORED_KEY: storedKey, LOCKSTEP_STORED_KEY_2025: storedKey };
    const config = await loadConfig(file, { cwd: dir, env });
    const server = config.server();
    server.tls?.();
    config.audit();
    if (server.host === '0.0.0.0')
      await prepareAccess({ store, config: () => config, clock: systemClock, redactor: redactor(), signal: o.signal });
  }
});

test('it does not start where tokens would travel in the clear', async () => {
  writeFileSync(join(dir, 'lockstep.yaml'), 'version: 1\nendpoints: { a: { url: "sqlite:a.db" } }\n');
  const { code, stderr } = await inProcess(['serve', '--host', '0.0.0.0', '--port', '0', '--control', database.url], {
    cwd: dir,
    env: { LOCKSTEP_AUDIT_KEY: key },
  });
  assert.equal(code, 20, stderr);
  assert.match(stderr, /tokens would travel to 0\.0\.0\.0 in the clear[\s\S]*Ways out:[\s\S]*--host 127\.0\.0\.1/);
});

test('a token is sent as the page says', async () => {
  const [command] = blocks('sh');
  const [, header, address] = /curl -H "(.*)" (\S+)/.exec(command!)!;
  const access = await prepareAccess({
    store,
    config: () => undefined,
    port: 0,
    clock: systemClock,
    redactor: redactor(),
    signal: o.signal,
  });
  const api = { version: '0', clock: systemClock, redactor: redactor(), signal: o.signal } as unknown as Api;
  const server = await startHttp(api, { ...access, routes: [me] });
  const made = await inProcess(['token', 'create', 'curl', '--role', 'viewer', '--json', '--control', database.url], {
    cwd: dir,
    env: { LOCKSTEP_AUDIT_KEY: key },
  });
  const [name, value] = header!.replace('$TOKEN', JSON.parse(made.stdout).secret).split(': ') as [string, string];
  const reply = await fetch(address!.replace('http://127.0.0.1:8000', server.url), { headers: { [name]: value } });
  assert.equal(((await reply.json()) as { name: string }).name, 'token:curl');
  await server.close();
});

test('the table of roles is theirs', () => {
  const told = new Map(
    [...page.matchAll(/^\| (viewer|operator|approver|admin) \| (.*) \|$/gm)].map(([, role, scopes]) => [
      role,
      [...scopes!.matchAll(/`([^`]+)`/g)].map(([, s]) => s),
    ]),
  );
  let before: readonly string[] = [];
  for (const role of roleNames) {
    const own = roles[role as RoleName].filter((scope) => !before.includes(scope));
    assert.deepEqual(told.get(role)?.toSorted(), own.toSorted(), role);
    before = roles[role];
  }
});
