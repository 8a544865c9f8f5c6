import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { scopes } from '../../src/access/scopes.ts';
import { loadConfig } from '../../src/config/load.ts';
import { inProcess } from '../cli/in-process.ts';
import { storeDatabase, testDatabase } from '../servers/postgres.ts';

/** docs/guide/monitoring.md, by what the program makes of it. */

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/guide/monitoring.md'), 'utf8');
const blocks = (language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'gm'))].map((m) => m[1]!);
const dir = mkdtempSync(join(tmpdir(), 'lockstep-guide-'));
const [vendor, crm, control] = await Promise.all([testDatabase(), testDatabase(), storeDatabase()]);
const got: { readonly id: unknown; readonly body: string }[] = [];
const receiver = createServer((request, response) => {
  request.on('data', (chunk: Buffer) => void got.push({ id: request.headers['webhook-id'], body: chunk.toString() }));
  request.on('end', () => response.writeHead(204).end());
});
await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
const hook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
after(async () => {
  receiver.close();
  for (const database of [vendor, crm, control]) await database[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});
const env = {
  VENDOR_URL: vendor.url,
  CRM_URL: crm.url,
  OPS_WEBHOOK: hook,
  OPS_WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  SLACK_WEBHOOK: hook,
  SMTP_PASSWORD: 'hunter2hunter2',
  LOCKSTEP_CONTROL_URL: control.url,
};
const file = join(dir, 'lockstep.yaml');
writeFileSync(file, blocks('yaml')[0]!);
const config = await loadConfig(file, { cwd: dir, env });
const lockstep = (...args: string[]) => inProcess(args, { cwd: dir, env });

test('the configuration of the guide is one, and means what the page says', async () => {
  assert.deepEqual(Object.keys(config.alerts.channels), ['ops', 'team', 'mail']);
  assert.equal(config.alerts.rules.slow_run, undefined);
  assert.deepEqual([config.alerts.rules.drift!.above, config.alerts.rules.drift!.send], [0.005, ['team']]);
  for (const channel of Object.values(config.alerts.channels))
    assert.ok(channel.kind === 'email' ? channel.smtp().host : channel.url());
  for (const db of [vendor, crm]) await db.query('create table licences (id int primary key, price numeric(9,2))');
  await vendor.query('insert into licences values (1, 10.50), (2, 3)');
  const synced = await lockstep('sync', 'licences', '--yes', '--json');
  assert.equal(synced.code, 0, synced.stderr);
  const { rows } = await control.query('select metric, value::text from lockstep_control.measure order by metric');
  assert.deepEqual(rows, [
    { metric: 'licenses_synced', value: '2' },
    { metric: 'revenue_impact', value: '13.5' },
  ]);
  const levels = await control.query('select agrees from lockstep_control.proof');
  assert.deepEqual(levels.rows, [{ agrees: true }]);
});

test('the commands of the guide run', async () => {
  const made = await lockstep(...'token create prometheus --scope monitoring:read'.split(' '));
  assert.equal(made.code, 0, made.stderr);
  assert.ok(page.includes('lockstep token create prometheus --scope monitoring:read'));
  assert.ok(scopes.includes('monitoring:read'));
  const commands = blocks('console')
    .flatMap((block) => block.split('\n'))
    .filter((line) => line.startsWith('$ lockstep '));
  assert.equal(commands.length, 2);
  // The receiver is on this machine, which the guide's channel does not allow.
  writeFileSync(
    file,
    blocks('yaml')[0]!.replace('OPS_WEBHOOK_SECRET}" }', 'OPS_WEBHOOK_SECRET}", allow_private: true }'),
  );
  for (const command of commands) {
    const words = [...command.slice('$ lockstep '.length).matchAll(/"([^"]*)"|\S+/g)].map((m) => m[1] ?? m[0]);
    const { code, stderr } = await lockstep(...words);
    assert.equal(code, 0, `${command}: ${stderr}`);
  }
  assert.equal(got.length, 1);
  assert.match(String(got[0]!.id), /^msg_/);
});

test('the table of the rules names all of them with their defaults', () => {
  const table = page.slice(page.indexOf('| rule | fires when |'));
  for (const rule of Object.keys({ ...config.alerts.rules, slow_run: 0 }))
    assert.match(table, new RegExp(`^\\|[^|]*\`${rule}\``, 'm'), rule);
  const schema = JSON.parse(readFileSync(join(root, 'schema/lockstep.config.draft07.json'), 'utf8'));
  const own = schema.properties.alerts.properties.rules.properties as Record<
    string,
    { anyOf: { properties?: Record<string, { description?: string }> }[] }
  >;
  let seen = 0;
  for (const [rule, { anyOf }] of Object.entries(own))
    for (const [setting, { description }] of Object.entries(anyOf.find((o) => o.properties)!.properties!)) {
      const usual = /Default (\d[\w.%]*?)\.?$/.exec(description ?? '')?.[1];
      if (usual === undefined) continue;
      seen++;
      assert.match(table, new RegExp(`^\\|[^|]*\`${rule}\`.*\`${setting}\` \\(${usual}\\)`, 'm'), `${rule}.${setting}`);
    }
  assert.ok(seen >= 9, `saw only ${seen} defaults`);
});

test('files, routes and members that the page names exist', () => {
  const document = JSON.parse(readFileSync(join(root, 'docs/reference/openapi.json'), 'utf8'));
  for (const path of ['/metrics', '/api/v1/monitoring/summary', '/api/v1/alerts']) {
    assert.ok(page.includes(path));
    assert.ok(document.paths[path], path);
  }
  const members = JSON.stringify(document);
  for (const [, name] of page
    .slice(page.indexOf('## The summary'), page.indexOf('## Metrics'))
    .matchAll(/`([a-z_0-9]+)`/g))
    assert.ok(members.includes(`"${name}"`), name);
  for (const [, path] of page.matchAll(/`(ops\/[\w./]+)`/g)) readFileSync(join(root, path!));
  assert.ok(parse(blocks('yaml')[1]!).scrape_configs[0].authorization);
});
