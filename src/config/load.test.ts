import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { LockstepError } from '../model/errors.ts';
import type { Config } from './config.ts';
import { configJsonSchemaText } from './json-schema.ts';
import { loadConfig } from './load.ts';
import { parseDuration, parseShare } from './units.ts';

const home = mkdtempSync(join(tmpdir(), 'lockstep-config-'));
after(() => rmSync(home, { recursive: true, force: true }));

let files = 0;
const load = (
  text: string,
  env: Readonly<Record<string, string>> = {},
  onSecret?: (s: string) => void,
): Promise<Config> => {
  const file = join(home, `c${files++}.yaml`);
  writeFileSync(file, text);
  return loadConfig(file, { cwd: home, env, ...(onSecret ? { onSecret } : {}) });
};
const endpoints = 'version: 1\nendpoints:\n  a: { url: "sqlite:a.db" }\n  b: { url: "sqlite:b.db", writable: true }\n';
const failure = async (text: string): Promise<LockstepError> => {
  const error = await load(text).then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.ok(error instanceof LockstepError, String(error));
  return error;
};

test('defaults are filled in', async () => {
  const { syncs, endpoints: found } = await load(`${endpoints}syncs:\n  s: { source: a, target: b }\n`);
  const s = syncs['s']!;
  assert.equal(s.mode, 'mirror');
  assert.equal(s.settleMs, 1000);
  assert.deepEqual(s.guards, { maxChanges: 500, maxChangeRatio: 0.01, maxDeletes: 0, emptySource: 'stop' });
  assert.equal(s.pairs, undefined);
  assert.equal(found['a']!.writable, false);
  assert.equal(found['b']!.writable, true);
});

test('a pair: key map, renamed columns, tolerances, conditions per side', async () => {
  const { syncs } = await load(`${endpoints}syncs:
  s:
    source: a
    target: b
    settle: 250ms
    guards: { max_change_ratio: 20% }
    pairs:
      - plain
      - source: x
        target: y
        key: { id: external_id }
        columns: { status: { to: state }, amount: { tolerance: 0.0000001 }, at: { tolerance: { fraction: 3, trim: true } }, n: }
        exclude: [noise]
        where: { source: "v <> 'd'" }
`);
  const [plain, pair] = syncs['s']!.pairs!;
  assert.equal(plain!.source, 'plain');
  assert.deepEqual(pair!.key, [['id', 'external_id']]);
  assert.deepEqual(pair!.map, { status: 'state' });
  assert.deepEqual(pair!.tolerances, { amount: { numeric: '0.0000001' }, at: { fraction: 3, trim: true } });
  assert.deepEqual(pair!.where, { source: "v <> 'd'" });
  assert.equal(syncs['s']!.settleMs, 250);
  assert.equal(syncs['s']!.guards.maxChangeRatio, 0.2);
});

test('references: the environment wins over .env, files are read, secrets are told, hosts are not', async () => {
  writeFileSync(join(home, '.env'), 'HOST=from-dotenv\nPW="p@:/?#%"\nSHARED=dotenv\n');
  writeFileSync(join(home, 'ca.pem'), 'CERT\n');
  const secrets: string[] = [];
  const text = `version: 1
endpoints:
  c:
    engine: postgres
    host: "\${env:HOST}"
    port: "\${env:PORT}"
    user: "\${env:SHARED}"
    password: "\${env:PW}"
    database: d
    tls: { ca: "\${file:ca.pem}" }
  u: { url: "\${env:URL}" }
`;
  const env = { PORT: '5433', SHARED: 'env', URL: 'postgres://u:s%40cret@h/d' };
  const { endpoints: found } = await load(text, env, (s) => secrets.push(s));
  assert.deepEqual(found['c']!.connection(), {
    engine: 'postgres',
    host: 'from-dotenv',
    port: 5433,
    user: 'env',
    password: 'p@:/?#%',
    database: 'd',
    tls: { ca: 'CERT' },
  });
  assert.equal(found['u']!.connection(), env.URL);
  assert.deepEqual(secrets.sort(), ['p@:/?#%', 's@cret']);
  rmSync(join(home, '.env'));
});

test('a secret that is missing is told only when it is used, with its line', async () => {
  const { endpoints: found } = await load('version: 1\nendpoints:\n  a: { url: "${env:NOT_THERE}" }\n');
  assert.throws(
    () => found['a']!.connection(),
    (e: unknown) =>
      e instanceof LockstepError &&
      e.code === 'SECRET_MISSING' &&
      /NOT_THERE\} is not set \(c\d+\.yaml:3\)/.test(e.message) &&
      /\.env/.test(e.details.join()),
  );
});

test('every mistake is shown with its place, and no secret stands in the frame', async () => {
  const error = await failure(`version: 1
endpoints:
  a: { url: "postgres://u:hunter2@h/d", writabel: true }
  b: { engine: postgres, password: hunter3, port: 99999 }
syncs:
  s: { source: a, target: b, mode: miror, settle: 5 seconds }
`);
  const all = [error.message, ...error.details].join('\n');
  assert.match(all, /:3:\d+: unknown key `writabel` in endpoints\.a/);
  assert.match(all, /did you mean writable\?/);
  assert.match(all, /:4:\d+: endpoints\.b\.port: expected a port/);
  assert.match(all, /:6:\d+: syncs\.s\.mode: expected one of/);
  assert.match(all, /:6:\d+: syncs\.s\.settle: expected a duration/);
  assert.doesNotMatch(all, /hunter/);
});

test('the caret stands under the word, also after a masked password', async () => {
  const error = await failure('version: 1\nendpoints:\n  a: { url: "postgres://u:hunter2@h/d", writabel: true }\n');
  const [line, caret] = error.details;
  assert.equal(line!.indexOf('writabel'), caret!.indexOf('^'));
});

test('an error inside a pair points into the pair', async () => {
  const error = await failure(
    `${endpoints}syncs:\n  s:\n    source: a\n    target: b\n    pairs:\n      - { source: x, exclud: [y] }\n`,
  );
  assert.match(error.message, /:10:\d+: unknown key `exclud` in syncs\.s\.pairs\[0\]/);
});

test('url and parts at once, and neither, are errors', async () => {
  assert.match((await failure('version: 1\nendpoints:\n  a: { url: x, host: h }\n')).message, /both url and host/);
  assert.match((await failure('version: 1\nendpoints:\n  a: { host: h }\n')).message, /neither url nor engine/);
});

test('a sample is a share of the keys, of all pairs or of one, and secrets in the file are listed', async () => {
  const { inlineSecrets, syncs } = await load(
    `${endpoints}  c: { url: "postgres://u:pw@h/d" }\nsyncs:\n  s: { source: a, target: b, sample: 5%, schedule: { every: 5s } }\n`,
  );
  assert.deepEqual(inlineSecrets, [{ path: 'endpoints.c.url', line: 5 }]);
  assert.equal(syncs['s']!.sample, 0.05);
  const sync = (text: string) => `${endpoints}syncs:\n  s: { source: a, target: b, ${text} }\n`;
  const parts = await load(sync('sample: 0.2, pairs: [{ source: x, sample: 100% }, y]'));
  assert.deepEqual(
    parts.syncs['s']!.pairs!.map((p) => p.sample),
    [1, undefined],
  );
  assert.match((await failure(sync('sample: 0%'))).message, /syncs\.s\.sample: expected a percentage above 0%/);
  assert.match((await failure(sync('mode: migrate, sample: 5%'))).message, /copies whole tables/);
  assert.match((await failure(sync('mode: migrate, pairs: [y, { source: x, sample: 5% }]'))).message, /copies whole/);
});

test('breaker, limits and replicas have their defaults, and secrets of replicas are looked up when used', async () => {
  const { endpoints: found, inlineSecrets } = await load(
    `${endpoints}  c:\n    url: "postgres://u@h/d"\n    breaker: { failures: 2, reset_after: 300ms }\n    limits: { concurrency: 3 }\n    replicas: ["postgres://u:pw@h2/d", "\${env:NOWHERE}"]\n`,
  );
  assert.deepEqual(found['a']!.breaker, { failures: 5, resetAfterMs: 60_000 });
  assert.deepEqual(found['a']!.replicas(), []);
  assert.deepEqual(found['c']!.breaker, { failures: 2, resetAfterMs: 300 });
  assert.equal(found['c']!.concurrency, 3);
  assert.equal(found['c']!.connection(), 'postgres://u@h/d');
  assert.deepEqual(
    inlineSecrets.map((s) => s.path),
    ['endpoints.c.replicas.0'],
  );
  assert.throws(() => found['c']!.replicas(), { code: 'SECRET_MISSING', message: /NOWHERE/ });
});

test('a TypeScript config is the same object, whatever package it lies in', async () => {
  const file = join(home, 'lockstep.config.ts');
  writeFileSync(join(home, 'package.json'), '{"type":"commonjs"}');
  writeFileSync(
    file,
    "import { defineConfig } from 'lockstep';\nconst url: string = 'sqlite:a.db';\nexport default defineConfig({ version: 1, endpoints: { a: { url } } });\n",
  );
  const config = await loadConfig(file, { cwd: home, env: {} });
  assert.equal(config.endpoints['a']!.connection(), 'sqlite:a.db');
});

test('the committed JSON Schema is the one that the declaration makes', () => {
  const file = join(dirname(import.meta.filename), '../../schema/lockstep.config.draft07.json');
  assert.equal(
    readFileSync(file, 'utf8'),
    configJsonSchemaText(),
    'run: lockstep schema > schema/lockstep.config.draft07.json',
  );
});

test('durations and shares', () => {
  assert.equal(parseDuration('100ms'), 100);
  assert.equal(parseDuration('1.5h'), 5_400_000);
  assert.equal(parseDuration('0'), 0);
  assert.equal(parseDuration('5'), undefined);
  assert.equal(parseShare('1%'), 0.01);
  assert.equal(parseShare(0.2), 0.2);
  assert.equal(parseShare('101%'), undefined);
});
