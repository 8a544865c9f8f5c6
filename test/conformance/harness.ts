import type { Endpoint } from '../../src/model/endpoint.ts';
import type { ColumnType } from '../../src/model/schema.ts';

export interface KitColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable?: true;
  /** Filled by a sequence when absent. `identity`: and only by override otherwise. */
  readonly serial?: true | 'identity';
  /** Computed from the other columns: as an SQL expression, and as the memory engine's function. */
  readonly generated?: { readonly sql: string; readonly of: (row: KitRow) => string | null };
}

/** Columns by name; what is absent takes its default. */
export type KitRow = Readonly<Record<string, string | null>>;

/** A table the kit asks a harness to make. */
export interface KitTable {
  readonly name: string;
  readonly columns: readonly KitColumn[];
  /** Primary key; empty: none. */
  readonly key: readonly string[];
  readonly unique?: readonly (readonly string[])[];
  readonly check?: { readonly sql: string; readonly refuses: (row: KitRow) => boolean };
  /** Canonical text, in the order of `columns`. */
  readonly rows: readonly (readonly (string | null)[])[];
}

/** What another connection does to a table. */
export type Edit =
  | { readonly insert: readonly KitRow[] }
  | { readonly update: KitRow; readonly where: KitRow }
  | { readonly delete: KitRow };

/** A database of the engine under test with the tables that were asked for. */
export interface KitDatabase extends AsyncDisposable {
  /** A connection of the engine under test. */
  connect(o: { readonly writable: boolean }): Promise<Endpoint>;
  /** Writes by another connection that is not the engine's, committed when it returns. */
  edit(table: string, edit: Edit): Promise<void>;
  /** Changes whenever anything has been written to the database by anybody. */
  trace(): Promise<string>;
  /** Makes the lock that is held now expire, as if its holder had died long ago. */
  expireLocks(): Promise<void>;
  /** How many step markers the target holds. */
  markers(): Promise<number>;
  /** Is a slow statement of `slowFilter` still running in the server? Absent with it. */
  busy?(): Promise<boolean>;
}

/** Everything the kit needs to know about an engine. */
export interface Harness {
  readonly name: string;
  /** Kinds whose hash must be supported exactly. */
  readonly hashed: readonly string[];
  /** A condition that makes a statement over a thousand rows run for minutes inside the server. */
  readonly slowFilter?: string;
  /** `basic`: names hold no characters beyond U+FFFF. */
  readonly names?: 'basic';
  /** The engine keeps a version of each row, and tells changed rows by it. */
  readonly versions?: true;
  /** What is left of a value in this database (fewer digits of a second); absent: all of it. */
  keeps?(type: ColumnType, text: string): string;
  /** Key texts that are one to this database (blanks at the end) give the same here; absent: all are different. */
  sameKey?(text: string): string;
  /** A condition of the kit as this database writes it; absent: as it is. */
  condition?(sql: string): string;
  /** Why a case of the kit cannot be asked of this engine, and what is tested instead; absent: all can. */
  cannot?(name: string): string | undefined;
  database(tables: readonly KitTable[]): Promise<KitDatabase>;
  /** How many rows memory is watched over; absent: as many as usual. */
  readonly bigRows?: number;
  /** URL of a table `big` (id bigint key, name text, amount numeric, at timestamp) of `rows` rows; absent: in memory. */
  bigTable?(rows: number): Promise<AsyncDisposable & { readonly url: string }>;
}
