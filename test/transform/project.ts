import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Out } from '../../src/cli/io.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { engineNames, engineOfUrl, loadEngine } from '../../src/engines/registry.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { type Database, type DatabaseName, database } from '../acceptance/databases.ts';
import type { Outcome } from '../e2e/lockstep.ts';
import { storeDatabase } from '../servers/postgres.ts';

/** Two databases, a control store, and a folder with a configuration. */
export interface Project extends AsyncDisposable {
  readonly source: Database;
  readonly target: Database;
  /** Writes the configuration: the pairs of the sync `s`, in YAML, a list; with `file`, that file as it is. */
  pairs(yaml: string, file?: string): void;
  run(...args: readonly string[]): Promise<Outcome>;
  /** Runs with `--json`, and reads what it says. */
  // biome-ignore lint/suspicious/noExplicitAny: documents of several commands
  json(...args: readonly string[]): Promise<{ readonly code: number; readonly json: any; readonly stderr: string }>;
}

const outInto = (written: Record<'stdout' | 'stderr', string>, name: 'stdout' | 'stderr'): Out => ({
  isTTY: false,
  columns: 200,
  color: false,
  closed: false,
  write: async (text) => {
    written[name] += text;
  },
  flush: async () => {},
});

/** The command line in this process, on fresh databases, whose URLs are in the environment as SOURCE and TARGET. */
export const project = async (
  source: DatabaseName,
  target: DatabaseName,
  clock: Clock = systemClock,
): Promise<Project> => {
  const control = await storeDatabase();
  const a = await database(source);
  const b = await database(target);
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-transform-'));
  const env = { LOCKSTEP_CONTROL_URL: control.url, SOURCE: a.url, TARGET: b.url };
  const run = async (...args: readonly string[]): Promise<Outcome> => {
    const written = { stdout: '', stderr: '' };
    const never = new AbortController().signal;
    const code = await runCommandLine(args, {
      version: '0',
      out: outInto(written, 'stdout'),
      err: outInto(written, 'stderr'),
      env,
      cwd: dir,
      clock,
      engines: { names: engineNames, ofUrl: engineOfUrl, load: loadEngine },
      stop: never,
      now: never,
      canAsk: false,
      ask: async () => '',
      command: [],
      onHangup: () => ({ [Symbol.dispose]: () => {} }),
      every: () => ({ [Symbol.dispose]: () => {} }),
      demo: async () => 1,
    });
    return { code, ...written };
  };
  return {
    source: a,
    target: b,
    pairs: (yaml, file) => {
      const text = `version: 1
endpoints:
  old: { url: "\${env:SOURCE}" }
  new: { url: "\${env:TARGET}", writable: true }
syncs:
  s:
    source: old
    target: new
    settle: 0ms
    guards: { max_deletes: 100 }
    pairs:
${yaml
  .trim()
  .split('\n')
  .map((line) => `      ${line}`)
  .join('\n')}
`;
      writeFileSync(join(dir, file ?? 'lockstep.yaml'), file === undefined ? text : yaml);
    },
    run,
    json: async (...args) => {
      const done = await run(...args, '--json');
      return { ...done, json: done.stdout === '' ? undefined : JSON.parse(done.stdout) };
    },
    [Symbol.asyncDispose]: async () => {
      rmSync(dir, { recursive: true, force: true });
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
      await control[Symbol.asyncDispose]();
    },
  };
};
