import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after } from 'node:test';
import { inspectDatabase } from '../../src/engines/sqlite/catalogue.ts';
import { openDatabase } from '../../src/engines/sqlite/database.ts';
import type { Snapshot } from '../../src/engines/sqlite/reading.ts';
import { defineFunctions, type Meter } from '../../src/engines/sqlite/scan.ts';
import type { Selection } from '../../src/model/selected.ts';

/** Counts, and lets everything through at once. */
export const meter = (): Meter => ({ rows: 0, bytes: 0, sql: '', pace: () => {} });

/** A file with these tables in a snapshot, as a reader has it, for the parts that a reader is made of. */
export const snapshotOf = (
  sql: string,
): { readonly snapshot: Snapshot; selectionOf(table: string, filter?: string): Selection } => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-sqlite-'));
  const path = join(folder, 'a.sqlite');
  {
    using made = new DatabaseSync(path);
    made.exec(sql);
  }
  const db = openDatabase({
    side: 'a',
    path,
    readOnly: true,
    immutable: false,
    busyTimeoutMs: 1000,
    rowsPerSecond: undefined,
  });
  after(() => {
    db.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const snapshot: Snapshot = { db, slots: defineFunctions(db), orders: new Map() };
  db.exec('begin');
  return {
    snapshot,
    selectionOf: (name, filter) => {
      const table = inspectDatabase(db).tables.find((t) => t.name === name)!;
      const columns = table.columns.map((c) => ({
        name: c.name,
        stored: c.type,
        as: c.type,
        ...(c.loose ? { loose: true as const } : {}),
      }));
      return { table, columns, keyWidth: 1, ...(filter === undefined ? {} : { filter }) };
    },
  };
};
