import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../../src/store/embedded/cluster.ts';
import { type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { listOf, root, textOf, yamlOf } from './read.ts';

/** A process of the service, as a container would run it. */
interface Running extends AsyncDisposable {
  /** The first line of stdout; rejects when the process ends without one. */
  readonly line: Promise<string>;
  stderr(): string;
  /** Ends it as `docker stop` does, and gives its exit code. */
  stop(): Promise<number | null>;
}

const start = (program: string, args: readonly string[], o: { cwd: string; env: NodeJS.ProcessEnv }): Running => {
  const child = spawn(program, args, { ...o, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (part) => {
    said += part;
  });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const line = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void ended.then((code) => reject(new Error(`${args[0]} ended with ${code}: ${said}`)));
  });
  line.catch(() => {});
  return {
    line,
    stderr: () => said,
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
};

/** The environment of a service of compose.yaml, with the test's own servers in the place of its own. */
const environment = (name: string, servers: Readonly<Record<string, string>>): NodeJS.ProcessEnv => {
  const written: Record<string, string> = yamlOf('compose.yaml').services[name].environment;
  for (const variable of Object.keys(servers)) assert.ok(variable in written, `${name} gets ${variable}`);
  const values = Object.keys(written).map((variable) => [variable, servers[variable] ?? 'of-the-test-alone'] as const);
  const { PATH, HOME } = process.env;
  return { PATH, HOME, ...Object.fromEntries(values) };
};

const untilCopied = async (crm: TestDatabase, worker: Running): Promise<void> => {
  for (let i = 0; i < 150; i++) {
    const { rows } = await crm.query('select count(*)::int as n, pg_sleep(0.2)::text from subscriptions');
    if (rows[0].n === 100) return;
  }
  assert.fail(`the worker has carried nothing over: ${worker.stderr()}`);
};

/**
 * What the image and compose.yaml start, started without containers: `program` is the installed command. The API answers the
 * image's own health check, a worker of its own carries out what the mounted configuration schedules, and both end with 0.
 */
export const runCommandsOfTheImage = async (program: string, path: string): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-image-'));
  try {
    await using control = await testDatabase();
    await using app = await testDatabase();
    await using crm = await testDatabase();
    await app.query(textOf('deploy/compose/app.sql'));
    await crm.query(textOf('deploy/compose/crm.sql').replace(/\) character set \w+/, ')'));
    cpSync(join(root, 'deploy/compose/lockstep.yaml'), join(folder, 'lockstep.yaml'));
    const servers = {
      LOCKSTEP_CONTROL_URL: control.url,
      LOCKSTEP_PROXY: '127.0.0.1',
      APP_URL: app.url,
      APP_REPLICA_URL: app.url,
      CRM_URL: crm.url,
      BRANCH_URL: 'firebird://nobody:nothing@127.0.0.1:1//nowhere.fdb',
      REDIS_URL: 'redis://127.0.0.1:1',
    };
    const at = (name: string) => ({ cwd: folder, env: { ...environment(name, servers), PATH: path } });
    const { services } = yamlOf('compose.yaml');
    assert.deepEqual(listOf('ENTRYPOINT'), ['lockstep']);

    const port = String(await freePort());
    const moved = (args: readonly string[]): string[] => args.map((arg) => arg.replace(/\b8000\b/, port));
    const command = listOf('CMD');
    assert.deepEqual(services['api-1'].command.slice(0, command.length), command);
    await using api = start(program, moved(services['api-1'].command), at('api-1'));
    assert.equal(await api.line, `http://0.0.0.0:${port}`);
    assert.match(api.stderr(), /lsk_/, 'the first start shows a token');

    // The image's health check, word for word.
    const [node, ...check] = moved(listOf('HEALTHCHECK'));
    assert.equal(node, 'node');
    const healthy = await new Promise((resolve) =>
      execFile(process.execPath, check, (error) => resolve(error ? error.code : 0)),
    );
    assert.equal(healthy, 0);
    const ask = (url: string, headers = {}) => fetch(`http://127.0.0.1:${port}${url}`, { headers });
    assert.equal((await ask('/readyz')).status, 200);
    assert.equal((await ask('/api/v1/me')).status, 401);

    await using worker = start(program, services.worker.command, at('worker'));
    await untilCopied(crm, worker);
    assert.deepEqual([await worker.stop(), await api.stop()], [0, 0], worker.stderr() + api.stderr());
    assert.deepEqual(readdirSync(folder), ['lockstep.yaml'], 'the folder of the configuration may be read-only');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
