import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Cluster,
  clusterUrl,
  freePort,
  initCluster,
  startCluster,
  stopCluster,
} from '../store/embedded/cluster.ts';
import { driftSql, rowsSql, schemaSql } from './data.ts';

export interface DemoOptions {
  /** The demo lives in a folder of its own below this one, made anew each time. */
  readonly dir: string;
  /** The command line to run, e.g. `[node, main.ts]`: the demo types the commands a user would. */
  readonly command: readonly [string, ...string[]];
  /** End after the story; otherwise the two databases stay up until `signal`. */
  readonly once: boolean;
  readonly color: boolean;
  readonly print: (text: string) => void;
  readonly signal: AbortSignal;
}

const config = `version: 1
endpoints:
  billing: { url: "\${env:BILLING_URL}" }
  crm: { url: "\${env:CRM_URL}", writable: true }
syncs:
  billing-crm:
    source: billing
    target: crm
    mode: mirror
    guards: { max_deletes: 5 }
`;

/** Words of a narrator, between the commands. */
interface Scene {
  readonly title: string;
  readonly text: string;
  readonly args: readonly string[];
  /** The exit code the story promises; anything else ends it. */
  readonly exit: number;
}

const scenes = (subscription: string, revert: string): Readonly<Record<'before' | 'after', readonly Scene[]>> => ({
  before: [
    {
      title: 'What differs?',
      text: 'Both databases hash themselves in one pass; only what disagrees is read. Nothing is written.',
      args: ['diff', 'billing-crm', '--limit', '8'],
      exit: 2,
    },
    {
      title: 'What would make them agree?',
      text: 'A plan: every change with its before and after, guarded, hashed, usable once. Still nothing is written.',
      args: ['plan', 'billing-crm', '--limit', '6', '--out', 'fix.plan'],
      exit: 2,
    },
    {
      title: 'Apply exactly what was shown',
      text: 'Each row is written only if it still is what the plan saw, and is read back.',
      args: ['apply', 'fix.plan', '--yes'],
      exit: 0,
    },
    { title: 'Proof', text: 'The same comparison again.', args: ['diff', 'billing-crm'], exit: 0 },
    {
      title: 'The story of one row',
      text: 'Which run changed it, from what, to what, and why.',
      args: ['explain', 'billing-crm/public.subscriptions', subscription],
      exit: 0,
    },
  ],
  after: [
    {
      title: 'Changed your mind?',
      text: 'A run can be undone exactly; what others have written since would be kept.',
      args: ['revert', revert, '--yes', '--allow-deletes', '20'],
      exit: 0,
    },
    { title: 'The drift is back, to the row', text: '', args: ['diff', 'billing-crm', '--limit', '0'], exit: 2 },
  ],
});

const execute = (
  command: readonly [string, ...string[]],
  args: readonly string[],
  o: { readonly cwd: string; readonly quiet: boolean; readonly signal: AbortSignal },
): Promise<{ readonly code: number; readonly stdout: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(command[0], [...command.slice(1), ...args], {
      cwd: o.cwd,
      stdio: ['ignore', o.quiet ? 'pipe' : 'inherit', 'inherit'],
      signal: o.signal,
    });
    let stdout = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, stdout }));
  });

const statements = async (cluster: Cluster, database: string, ...sql: readonly string[]): Promise<string> => {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: clusterUrl(cluster, database) });
  await client.connect();
  try {
    let last = '';
    for (const text of sql) {
      const result = await client.query({ text, rowMode: 'array' });
      const rows = (Array.isArray(result) ? result.at(-1) : result).rows as unknown[][];
      last = String(rows[0]?.[0] ?? '');
    }
    return last;
  } finally {
    await client.end();
  }
};

/**
 * Makes two databases that should say the same, lets one drift, and walks through compare, plan, apply, proof, explain
 * and revert with the real command line. Resolves to the exit code: 0, or 1 when a command did not end as promised.
 */
export const demo = async (o: DemoOptions): Promise<number> => {
  const bold = (text: string): string => (o.color ? `\x1b[1m${text}\x1b[0m` : text);
  const dim = (text: string): string => (o.color ? `\x1b[2m${text}\x1b[0m` : text);
  const folder = join(o.dir, '.lockstep', 'demo');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(o.dir, '.lockstep', '.gitignore'), '*\n');
  const started = performance.now();
  const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;

  o.print(`${bold('Lockstep')}  keeps databases in agreement, and proves it.\n`);
  const { mkdtempSync } = await import('node:fs');
  const { tmpdir } = await import('node:os');
  const server = mkdtempSync(join(tmpdir(), 'lockstep-demo-'));
  chmodSync(server, 0o755);
  const login = { user: 'demo', password: 'demo' };
  await initCluster(join(server, 'data'), login);
  const cluster = await startCluster(join(server, 'data'), {
    ...login,
    port: await freePort(),
    settings: { fsync: 'off', shared_buffers: '256MB', max_wal_size: '2GB' },
  });
  try {
    await statements(cluster, 'postgres', 'create database billing');
    await statements(cluster, 'billing', schemaSql, rowsSql);
    await statements(cluster, 'postgres', 'create database crm template billing');
    const subscription = await statements(
      cluster,
      'crm',
      "select id::text from subscriptions where status = 'canceled' order by id limit 1",
    );
    await statements(cluster, 'crm', driftSql);
    writeFileSync(join(folder, 'lockstep.yaml'), config);
    writeFileSync(
      join(folder, '.env'),
      `BILLING_URL=${clusterUrl(cluster, 'billing')}\nCRM_URL=${clusterUrl(cluster, 'crm')}\n`,
    );
    o.print(
      `A real PostgreSQL with two databases, 310,000 rows each: ${bold('billing')}, and the ${bold('crm')} that should say\n` +
        `the same and has drifted: lost webhooks, a time zone, trimmed names, rounding, missing and unknown rows.  ${dim(seconds())}\n`,
    );

    const play = async (scene: Scene): Promise<boolean> => {
      o.print(`\n${bold(`── ${scene.title} `.padEnd(100, '─'))}`);
      if (scene.text !== '') o.print(dim(scene.text));
      o.print(`\n${dim('$')} ${bold(`lockstep ${scene.args.join(' ')}`)}`);
      const { code } = await execute(o.command, scene.args, { cwd: folder, quiet: false, signal: o.signal });
      o.print(dim(`exit code ${code}   ${seconds()} since the start`));
      if (code === scene.exit) return true;
      o.print(`\nThe demo expected exit code ${scene.exit}. Its files are in ${folder}.`);
      return false;
    };
    for (const scene of scenes(subscription, '').before) if (!(await play(scene))) return 1;
    const runs = await execute(o.command, ['runs', '--format', 'json'], { cwd: folder, quiet: true, signal: o.signal });
    const applied = (JSON.parse(runs.stdout) as { runs: { id: string; kind: string }[] }).runs.find(
      (r) => r.kind === 'apply',
    );
    if (applied === undefined) {
      o.print(`\nThe run that applied the plan is not in the record: ${runs.stdout}`);
      return 1;
    }
    for (const scene of scenes('', applied.id).after) if (!(await play(scene))) return 1;

    o.print(`\n${bold('That was the whole loop:')} diff, plan, apply, proof, explain, revert.  ${dim(seconds())}`);
    o.print('Your own databases:  lockstep diff postgres://… postgres://…     (it never writes)');
    if (!o.once) {
      o.print(`\nThe two databases stay up until Ctrl-C. Try, in ${folder}:`);
      o.print('  lockstep diff billing-crm --explain      lockstep runs      lockstep check');
      await new Promise<void>((resolve) => o.signal.addEventListener('abort', () => resolve(), { once: true }));
    }
    return 0;
  } finally {
    await stopCluster(cluster, 'immediate');
    rmSync(server, { recursive: true, force: true });
  }
};
