import { randomUUID } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Cell, Row } from '../../model/row.ts';
import type { Table, TableName } from '../../model/schema.ts';
import { tableLabel } from '../../model/schema.ts';

/** A table of a memory database, as tests write it. */
export interface MemoryTable {
  readonly table: Table;
  /** Whole rows in the order of `table.columns`; each cell is the canonical text of its column's own type. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Values of columns that a write left out; for `generated: 'always'` columns the only source of values. */
  readonly fill?: Readonly<Record<string, (row: Readonly<Record<string, Cell>>) => string | null>>;
  /** Refuses a row with a reason, as a CHECK constraint or a trigger would. */
  readonly check?: (row: Readonly<Record<string, Cell>>) => string | undefined;
}

export interface LockRow {
  readonly run: string;
  readonly pair: string;
  readonly token: bigint;
  readonly untilMs: number;
}

/** One immutable state of the whole database: a snapshot is a reference to it. */
export interface State {
  readonly rows: ReadonlyMap<string, readonly Row[]>;
  /** `run step` -> fencing token. */
  readonly steps: ReadonlyMap<string, bigint>;
  readonly lock: LockRow | undefined;
  readonly lastToken: bigint;
  /** `table column` -> last value given out. */
  readonly sequences: ReadonlyMap<string, bigint>;
}

/** A database in memory. Endpoints on the same one are connections to the same database. */
export class MemoryDatabase {
  /** Tells this database from another one of the same name. */
  readonly id = randomUUID();
  readonly tables: ReadonlyMap<string, MemoryTable>;
  readonly clock: Clock;
  /** Replaced as a whole by every commit. */
  state: State;
  #turn: Promise<void> = Promise.resolve();

  constructor(tables: readonly MemoryTable[], clock: Clock) {
    this.tables = new Map(tables.map((t) => [tableLabel(t.table), t]));
    this.clock = clock;
    this.state = {
      rows: new Map(tables.map((t) => [tableLabel(t.table), t.rows as readonly Row[]])),
      steps: new Map(),
      lock: undefined,
      lastToken: 0n,
      sequences: new Map(),
    };
  }

  find(name: TableName): MemoryTable {
    const found = this.tables.get(tableLabel(name));
    if (!found) throw new LockstepError('TABLE_NOT_FOUND', `There is no table ${tableLabel(name)}.`);
    return found;
  }

  /** Changes one table as another connection would, at once and unguarded. */
  edit(name: string, change: (rows: readonly Row[]) => readonly (readonly (string | null)[])[]): void {
    const rows = this.state.rows.get(name);
    if (!rows) throw new LockstepError('TABLE_NOT_FOUND', `There is no table ${name}.`);
    this.state = { ...this.state, rows: new Map([...this.state.rows, [name, change(rows) as readonly Row[]]]) };
  }

  /** One writing transaction at a time. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      return await work();
    } finally {
      resolve();
    }
  }
}
