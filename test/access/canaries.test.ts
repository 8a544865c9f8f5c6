import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { inProcess } from '../cli/in-process.ts';
import { testDatabase } from '../servers/postgres.ts';
import { until } from '../service/project.ts';

/**
 * Every secret that this installation has is a text found nowhere else. The service runs, works, fails and is attacked;
 * then every byte that came out of it is searched.
 */
const main = join(dirname(import.meta.filename), '../../src/main.ts');
/** With characters that URLs, JSON, YAML and shells write in another way. */
const canary = (name: string): string => `${name}/${randomBytes(9).toString('hex')}@:?#%&"x`;

const formsOf = (secret: string): readonly string[] => [
  secret,
  encodeURIComponent(secret),
  JSON.stringify(secret).slice(1, -1),
  Buffer.from(secret).toString('base64'),
  Buffer.from(secret).toString('base64url'),
  Buffer.from(secret).toString('hex'),
  // What names it without being hidden in any form.
  secret.slice(secret.indexOf('/') + 1, secret.indexOf('@') < 0 ? undefined : secret.indexOf('@')),
];

test('no secret is in any output, log, answer or table', async () => {
  const databases = await Promise.all([testDatabase(), testDatabase(), testDatabase()]);
  const [source, target, control] = databases;
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-canaries-'));
  const secrets = {
    source: canary('source'),
    target: canary('target'),
    control: canary('control'),
    wrong: canary('wrong'),
    vendor: canary('vendor'),
    audit: canary('audit key'),
  };
  const users = { source: 'reader', target: 'writer', control: 'keeper' } as const;
  const roleOf = (part: keyof typeof users): string => `${users[part]}_${process.pid}`;
  const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  for (const [part, db] of [
    ['source', source],
    ['target', target],
    ['control', control],
  ] as const) {
    const role = roleOf(part);
    await db.query(`create role ${role} login password ${quoted(secrets[part])}`);
    await db.query(`create table if not exists item (id integer primary key, name text); grant all on item to ${role};
      grant create on database ${db.name} to ${role}; grant create on schema public to ${role}`);
  }
  await source.query("insert into item values (1, 'one'), (2, 'two')");
  await target.query("insert into item values (1, 'eins')");
  const at = new URL(source.url);
  const urlOf = (part: keyof typeof users, db: string, password: string = secrets[part]): string =>
    `postgres://${roleOf(part)}:${encodeURIComponent(password)}@${at.host}/${db}`;
  const env = {
    SOURCE_URL: urlOf('source', source.name),
    TARGET_PASSWORD: secrets.target,
    LOCKSTEP_CONTROL_URL: urlOf('control', control.name),
    WRONG_URL: urlOf('source', source.name, secrets.wrong),
    VENDOR_TOKEN: secrets.vendor,
    LOCKSTEP_AUDIT_KEY: secrets.audit,
  };
  writeFileSync(
    join(dir, 'lockstep.yaml'),
    `version: 1
endpoints:
  source: { url: "\${env:SOURCE_URL}" }
  target: { engine: postgres, host: ${at.hostname}, port: ${at.port}, user: ${roleOf('target')}, password: "\${env:TARGET_PASSWORD}", database: ${target.name}, writable: true }
  wrong: { retry: { attempts: 1 }, url: "\${env:WRONG_URL}" }
  vendor: { retry: { attempts: 1 }, url: "http://127.0.0.1:1/api", http: { allow_private: true, auth: { bearer: "\${env:VENDOR_TOKEN}" }, resources: { item: { list: /item, key: [id] } } } }
syncs:
  good: { source: source, target: target, settle: 0s, guards: { max_change_ratio: 100% }, pairs: [ { source: public.item, target: public.item } ] }
  bad: { source: wrong, target: target, settle: 0s, pairs: [ { source: public.item, target: public.item } ] }
  api: { source: vendor, target: target, settle: 0s, pairs: [ { source: item, target: public.item } ] }
server: { port: 0, rate_limit: false, log: { level: debug, file: service.log } }
`,
  );
  const heard: [where: string, text: string][] = [];
  const child = spawn(process.execPath, [main, 'serve', '--verbose'], {
    cwd: dir,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  try {
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.setEncoding('utf8').on('data', (part: string) => {
        stdout += part;
        const found = /https?:\/\/\S+(?=\n)/.exec(stdout)?.[0];
        if (found !== undefined) resolve(found);
      });
      child.once('exit', () => reject(new Error(stderr)));
    });
    const admin = /lsk_[0-9a-z]{52}/.exec(stderr)![0];
    const ask = async (method: string, path: string, bearer: string, json?: unknown): Promise<string> => {
      const reply = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${bearer}`,
          cookie: `session=${bearer}`,
          'idempotency-key': `k${heard.length}`,
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      });
      const text = await reply.text();
      heard.push([`${method} ${path}`, JSON.stringify([...reply.headers]) + text]);
      return text;
    };
    const made = JSON.parse(
      await ask('POST', '/api/v1/tokens', admin, { name: 'made', role: 'viewer', expires_in: '1d' }),
    ) as { secret: string };
    // The one answer that may hold it.
    heard.pop();
    const typed = `lsk_${'z'.repeat(51)}0`;
    const jwt = `${btoa('{"alg":"none"}').replaceAll('=', '')}.${randomBytes(30).toString('base64url')}.${randomBytes(30).toString('base64url')}`;
    for (const bearer of [typed, jwt]) await ask('GET', `/api/v1/runs?access_token=${bearer}`, bearer);
    for (const bearer of [admin, made.secret])
      for (const path of [
        '/api/v1/me',
        '/api/v1/tokens',
        '/api/v1/endpoints',
        '/api/v1/endpoints/wrong',
        '/api/v1/syncs',
        '/api/v1/syncs/bad/status',
        '/openapi.json',
        '/docs',
        `/api/v1/runs?token=${bearer}`,
        `/api/v1/nothing/${bearer}`,
      ])
        await ask('GET', path, bearer);
    const ended = async (body: object): Promise<void> => {
      const { id } = JSON.parse(await ask('POST', '/api/v1/runs', admin, body)) as { id: string };
      await until(async () => /"finished":"/.test(await ask('GET', `/api/v1/runs/${id}`, admin)), 50);
    };
    for (const sync of ['good', 'bad', 'api']) await ended({ kind: 'diff', sync });
    await ended({ kind: 'sync', sync: 'good' });
    for (const path of [
      '/api/v1/audit',
      '/api/v1/runs',
      '/api/v1/plans',
      '/health',
      '/readyz?verbose',
      '/metrics',
      '/api/v1/monitoring/errors',
      '/api/v1/monitoring/performance',
      '/api/v1/monitoring/database/health',
      '/api/v1/alerts',
    ])
      await ask('GET', path, admin);
    for (const args of [
      ['check', '--verbose'],
      ['diff', 'bad', '--verbose'],
      ['diff', 'api', '--verbose'],
      ['diff', 'good', '--explain', '--format', 'json'],
      ['diff', env.WRONG_URL, env.SOURCE_URL, '--verbose'],
      ['sync', 'good', '--yes', '--verbose'],
      ['diff', 'good', '--control', env.LOCKSTEP_CONTROL_URL.replace(control.name, 'no_such_database'), '--verbose'],
      ['runs', '--json'],
      ['token', 'list', '--json'],
      ['audit', 'list', '--json', '--limit', 'all'],
      ['audit', 'verify', '--verbose'],
    ]) {
      const { stdout: out, stderr: err } = await inProcess(args, { cwd: dir, env });
      heard.push([`lockstep ${args[0]} ${args[1]}`, out + err]);
    }
    child.kill('SIGTERM');
    const code = await new Promise((resolve) => child.once('exit', resolve));
    assert.equal(code, 0, stderr);
    const { rows: tables } = await control.query(
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    );
    assert.ok(tables.length > 15, `saw only ${tables.length} tables`);
    for (const { name } of tables)
      heard.push([
        `table ${name}`,
        (await control.query(`select t::text as row from ${name} t`)).rows.map((r) => r['row']).join('\n'),
      ]);
    const log = readFileSync(join(dir, 'service.log'), 'utf8');
    assert.ok(log.split('\n').length > 20, 'the log says nothing');
    heard.push(['the log', log], ['stdout of serve', stdout], ['stderr of serve', stderr.replace(admin, '')]);
    assert.match(stderr, /shown once/);
    // The search finds what is there.
    assert.ok(heard.filter(([, text]) => text.includes(roleOf('source'))).length > 5);

    for (const [name, secret] of Object.entries({ ...secrets, admin, made: made.secret, typed, jwt }))
      for (const form of formsOf(secret)) {
        const where = heard.filter(([, text]) => text.includes(form)).map(([place]) => place);
        // Whoever puts a token of his own into an address gets the address back, and nobody else.
        const own = where.filter((place) => !place.includes(secret));
        assert.deepEqual(own, [], `${name} as ${form.slice(0, 6)}…`);
      }
  } finally {
    child.kill('SIGKILL');
    for (const db of databases) await db[Symbol.asyncDispose]();
    await using last = await testDatabase();
    for (const part of ['source', 'target', 'control'] as const)
      await last.query(`drop role if exists ${roleOf(part)}`);
    rmSync(dir, { recursive: true, force: true });
  }
});
