import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { loadConfig } from '../../src/config/load.ts';
import { catalogue } from '../../src/telemetry/catalogue.ts';
import { listOf, objectsOf, root, textOf, yamlOf } from './read.ts';

const folder = 'deploy/kubernetes';
const kustomization = yamlOf(`${folder}/kustomization.yaml`);
const files = globSync('*.yaml', { cwd: join(root, folder) }).filter((file) => file !== 'kustomization.yaml');
// biome-ignore lint/suspicious/noExplicitAny: their types are what is tested
const objects: readonly any[] = files.flatMap((file) => objectsOf(`${folder}/${file}`));
const one = (kind: string, name: string) => {
  const found = objects.filter((o) => o.kind === kind && o.metadata.name === name);
  assert.equal(found.length, 1, `${kind} ${name}`);
  return found[0];
};
const server = one('Deployment', 'lockstep-server');
const worker = one('Deployment', 'lockstep-worker');

/** `apps/v1` -> the module of its types. */
const moduleOf = (version: string): string =>
  `kubernetes-types/${version === 'v1' ? 'core/v1' : version.replace('.k8s.io', '')}`;

test('every object is what the types of the Kubernetes API say, and a slip would be seen', async () => {
  assert.ok(objects.length >= 12, `saw only ${objects.length} objects`);
  const lines = objects.map(
    (o, i) =>
      `export const o${i}: import('${moduleOf(o.apiVersion)}').${o.kind} = ${JSON.stringify(o)}; // ${o.kind} ${o.metadata.name}`,
  );
  const slip = JSON.stringify(server).replace('readOnlyRootFilesystem', 'readOnlyRootFileSystem');
  assert.notEqual(slip, JSON.stringify(server));
  const text = [
    ...lines,
    '// @ts-expect-error a name that does not exist',
    `export const wrong: import('kubernetes-types/apps/v1').Deployment = ${slip};`,
  ].join('\n');
  mkdirSync(join(root, '.cache'), { recursive: true });
  const dir = mkdtempSync(join(root, '.cache/kubernetes-'));
  try {
    writeFileSync(join(dir, 'objects.ts'), text);
    const compilerOptions = {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: [],
      module: 'esnext',
      moduleResolution: 'bundler',
    };
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['objects.ts'] }));
    await promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['-p', dir]).catch((error: { stdout: string }) =>
      assert.fail(error.stdout),
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('kustomize is told of every file but the example of a secret', () => {
  assert.deepEqual([...kustomization.resources].sort(), files.filter((f) => f !== 'secret.example.yaml').sort());
  for (const file of kustomization.resources) assert.ok(existsSync(join(root, folder, file)));
  for (const { name } of kustomization.images)
    for (const d of [server, worker]) assert.equal(d.spec.template.spec.containers[0].image.split(':')[0], name);
});

test('pods run as nobody, on a file system that they cannot write, and need nothing of the cluster', () => {
  for (const { metadata, spec } of [server, worker]) {
    const pod = spec.template.spec;
    assert.deepEqual([pod.securityContext.runAsNonRoot, pod.securityContext.runAsUser], [true, 1000], metadata.name);
    assert.equal(pod.automountServiceAccountToken, false);
    assert.equal(pod.serviceAccountName, one('ServiceAccount', 'lockstep').metadata.name);
    for (const container of pod.containers) {
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      assert.ok(container.resources.requests && container.resources.limits.memory);
      assert.match(container.image, /:\d+\.\d+\.\d+$/);
      const mounted = container.volumeMounts.map((m: { name: string }) => m.name);
      assert.deepEqual(
        mounted,
        pod.volumes.map((v: { name: string }) => v.name),
      );
      assert.ok(
        container.volumeMounts.some((m: { mountPath: string }) => m.mountPath === '/tmp'),
        'there is room for spools',
      );
    }
    // 10 s for what is in hand, and what comes before and after
    assert.ok(pod.terminationGracePeriodSeconds >= 30);
  }
});

test('selectors find the pods that they are meant for', () => {
  const labels = (d: typeof server) => d.spec.template.metadata.labels as Record<string, string>;
  const finds = (selector: Record<string, string>, d: typeof server): boolean =>
    Object.entries(selector).every(([key, value]) => labels(d)[key] === value);
  for (const d of [server, worker]) assert.ok(finds(d.spec.selector.matchLabels, d));
  assert.ok(
    finds(one('Service', 'lockstep').spec.selector, server) && !finds(one('Service', 'lockstep').spec.selector, worker),
  );
  for (const [name, d, other] of [
    ['lockstep-server', server, worker],
    ['lockstep-worker', worker, server],
  ] as const) {
    const selector = one('PodDisruptionBudget', name).spec.selector.matchLabels;
    assert.ok(finds(selector, d) && !finds(selector, other), name);
  }
  const policies = objects.filter((o) => o.kind === 'NetworkPolicy').map((o) => o.spec.podSelector.matchLabels);
  for (const d of [server, worker]) assert.ok(policies.some((selector) => finds(selector, d)));
});

test('ports and probes are those that the image has', () => {
  const [container] = server.spec.template.spec.containers;
  const port = container.args[container.args.indexOf('--port') + 1];
  assert.deepEqual(container.args.slice(0, 5), listOf('CMD'));
  assert.deepEqual(container.ports, [{ name: 'http', containerPort: Number(port) }]);
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'])
    assert.equal(container[probe].httpGet.port, 'http', probe);
  assert.deepEqual(
    [container.livenessProbe.httpGet.path, container.readinessProbe.httpGet.path],
    ['/livez', '/readyz'],
  );
  const { ports } = one('Service', 'lockstep').spec;
  assert.equal(ports[0].targetPort, 'http');
  for (const rule of one('Ingress', 'lockstep').spec.rules)
    for (const { path, backend } of rule.http.paths) {
      assert.deepEqual(backend.service, { name: 'lockstep', port: { name: ports[0].name } });
      assert.notEqual(path, '/', 'metrics and probes are for the inside');
    }
  const [from] = one('NetworkPolicy', 'lockstep-server').spec.ingress;
  assert.deepEqual(from.ports, [{ protocol: 'TCP', port: Number(port) }]);
});

test('workers follow a metric that there is', () => {
  const { scaleTargetRef, metrics: asked } = one('HorizontalPodAutoscaler', 'lockstep-worker').spec;
  assert.equal(scaleTargetRef.name, worker.metadata.name);
  assert.equal(worker.spec.replicas, undefined, 'two who say how many would fight');
  const [external] = asked.filter((m: { type: string }) => m.type === 'External');
  assert.ok(external.external.metric.name in catalogue, external.external.metric.name);
  const named = ['operations', 'scaling'].flatMap(
    (page) => textOf(`docs/guide/${page}.md`).match(/\blockstep_\w+/g) ?? [],
  );
  assert.ok(named.length >= 4);
  for (const name of named) assert.ok(name in catalogue || name === 'lockstep_control', name);
});

test('the configuration can be read with the variables of the secret, and may listen', async () => {
  const text = one('ConfigMap', 'lockstep').data['lockstep.yaml'];
  const given = one('Secret', 'lockstep').stringData;
  const [container] = server.spec.template.spec.containers;
  const env = {
    ...given,
    ...Object.fromEntries(container.env.map((e: { name: string; value: string }) => [e.name, e.value])),
  };
  assert.deepEqual(container.envFrom, worker.spec.template.spec.containers[0].envFrom);
  assert.ok('LOCKSTEP_CONTROL_URL' in env && 'LOCKSTEP_AUDIT_KEY' in env);
  mkdirSync(join(root, '.cache'), { recursive: true });
  const dir = mkdtempSync(join(root, '.cache/kubernetes-'));
  try {
    writeFileSync(join(dir, 'lockstep.yaml'), text);
    const config = await loadConfig(join(dir, 'lockstep.yaml'), { cwd: dir, env, onSecret: () => {} });
    for (const endpoint of Object.values(config.endpoints)) endpoint.connection();
    assert.deepEqual(config.server().trustedProxies, ['10.0.0.0/8']);
    assert.equal(config.server().auth?.mode, 'tokens');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
