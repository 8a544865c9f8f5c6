import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after } from 'node:test';
import { engineOfUrl, loadEngine } from '../../src/engines/registry.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Store } from '../../src/model/store.ts';
import { type Copied, copy } from '../../src/work/copy.ts';
import type { CopyInput } from '../../src/work/copy-input.ts';
import { factsOf } from '../../src/work/recorded.ts';

export const signal = new AbortController().signal;

let folder: string | undefined;
after(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** A fresh SQLite database made by these statements; gone when the file of tests is done. */
export const sqliteFile = (sql = ''): { readonly url: string; readonly path: string } => {
  folder ??= mkdtempSync(join(tmpdir(), 'lockstep-copy-'));
  const path = join(folder, `${Math.random().toString(36).slice(2)}.db`);
  writeFileSync(path, '');
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  db.exec(sql);
  db.close();
  return { url: `sqlite:${path}`, path };
};

export const open = async (url: string, name: string, writable: boolean): Promise<Endpoint> => {
  const engine = (await loadEngine(engineOfUrl(url)!))!;
  return engine.connect(engine.parse(url), { name, writable, signal });
};

export const copyInput = (store: Store, source: Endpoint, target: Endpoint, o: Partial<CopyInput> = {}): CopyInput => ({
  store,
  source,
  target,
  facts: { source: factsOf(source, 'the source'), target: factsOf(target, 'the target') },
  sync: null,
  actor: 'tests',
  correlation: 'c',
  excludeTables: [],
  types: new Map(),
  settleMs: 0,
  clock: systemClock,
  seed: 7n,
  signal,
  version: 'test',
  ...o,
});

/** Copies from one URL to another as the command does. */
export const copied = async (
  store: Store,
  from: string,
  to: string,
  o: Partial<CopyInput> = {},
): Promise<Copied & { readonly certificate: NonNullable<Copied['certificate']> }> => {
  await using source = await open(from, 'old', false);
  await using target = await open(to, 'new', true);
  const result = await copy(copyInput(store, source, target, o));
  return result as Copied & { readonly certificate: NonNullable<Copied['certificate']> };
};
