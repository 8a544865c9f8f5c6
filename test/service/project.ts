import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import type { Run } from '../../src/model/runs.ts';
import type { Asked, RunRequest } from '../../src/model/service.ts';
import type { ServiceStore } from '../../src/model/service-store.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { storeDatabase, type TestDatabase, testDatabase } from '../servers/postgres.ts';
import { o } from '../store/plain.ts';

const main = join(dirname(import.meta.filename), '../../src/main.ts');

export const asked: Asked = { actor: 'tester', correlation: 'c_test', trigger: 'api' };

/** Looks until it is so; the test's own time-out is the end of patience. */
export const until = async <T>(look: () => Promise<T | undefined | false>, everyMs = 20): Promise<T> => {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found as T;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
};

type Line = Readonly<Record<string, unknown>>;

/** A process of the service, and what it logs. */
export interface ServiceChild {
  readonly child: ChildProcess;
  readonly lines: readonly Line[];
  /** The first line that meets this, once it is there. */
  line(meets: (line: Line) => boolean): Promise<Line>;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** Two databases, a control store and a configuration, and processes over them, until it is disposed of. */
export const openProject = async (
  syncs: string,
  endpoints: { readonly source?: string; readonly target?: string } = {},
) => {
  const [source, target, control] = await Promise.all([testDatabase(), testDatabase(), storeDatabase()]);
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-service-'));
  const config = (text: string): void =>
    writeFileSync(
      join(dir, 'lockstep.yaml'),
      `version: 1
control: "${control.url}"
endpoints:
  source: { url: "${source.url}"${endpoints.source ?? ''} }
  target: { url: "${target.url}", writable: true${endpoints.target ?? ''} }
syncs:
${text}`,
    );
  config(syncs);
  const store: ServiceStore = await openPostgresStore(urlConnector(control.url), o);
  const children = new Set<ChildProcess>();
  const start = (...args: string[]): ServiceChild => {
    const child = spawn(process.execPath, [main, ...args], { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
    children.add(child);
    const lines: Line[] = [];
    const waiting = new Set<() => void>();
    let rest = '';
    /** What is no log line. */
    let said = '';
    let over = false;
    child.stderr!.setEncoding('utf8').on('data', (piece: string) => {
      const parts = (rest + piece).split('\n');
      rest = parts.pop()!;
      for (const part of parts)
        if (part.startsWith('{')) lines.push(JSON.parse(part) as Line);
        else said += `${part}\n`;
      for (const one of waiting) one();
    });
    const ended = new Promise<number | string>((resolve) => {
      child.once('close', (code, killed) => {
        children.delete(child);
        over = true;
        for (const one of waiting) one();
        resolve(code ?? killed!);
      });
    });
    return {
      child,
      lines,
      ended,
      line: (meets) =>
        new Promise((resolve, reject) => {
          const look = (): void => {
            const found = lines.find(meets);
            if (found === undefined && !over) return;
            waiting.delete(look);
            if (found === undefined) reject(new Error(`it ended before it said so: ${said}`));
            else resolve(found);
          };
          waiting.add(look);
          look();
        }),
    };
  };
  const request = async (r: RunRequest): Promise<Run> => (await store.desk.request(r, asked, o)).run;
  const ends = (id: string): Promise<Run> =>
    until(async () => {
      const run = await store.runs.get(id, o);
      return run !== undefined && ['done', 'failed', 'cancelled'].includes(run.state) && run;
    });
  return {
    dir,
    store,
    source,
    target,
    control,
    config,
    start,
    request,
    ends,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      for (const child of children) child.kill('SIGKILL');
      await store[Symbol.asyncDispose]();
      for (const db of [source, target, control]) await db[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

/** One that is gone when the file is done. */
export const project = async (...args: Parameters<typeof openProject>): ReturnType<typeof openProject> => {
  const made = await openProject(...args);
  after(() => made[Symbol.asyncDispose]());
  return made;
};

/** A table on both sides whose rows differ, and a log of every write in the target. */
export const differing = async (source: TestDatabase, target: TestDatabase, rows: number): Promise<void> => {
  for (const db of [source, target]) await db.query('create table t (id int primary key, v text)');
  await source.query(`insert into t select i, 'new ' || i from generate_series(1, ${rows}) i`);
  await target.query(`insert into t select i, 'old ' || i from generate_series(1, ${rows}) i where i % 2 = 0`);
  await target.query(`create table writes (n serial, op text, id int)`);
  await target.query(`create function note() returns trigger language plpgsql as $$
    begin insert into writes (op, id) values (tg_op, new.id); return null; end $$`);
  await target.query(`create trigger note after insert or update on t for each row execute function note()`);
};
