import type { Batch, Row, Text } from './row.ts';
import type { ColumnType, ForeignKey, Table, TableName } from './schema.ts';

/** As everything that waits: aborting reaches the server. */
interface Cancel {
  readonly signal: AbortSignal;
}

/** One transaction of a run in the target, as writers know it. */
interface StepMark {
  readonly run: string;
  readonly step: number;
  readonly token: bigint;
}

/** What a column holds when nothing is given: what every engine can say, or one engine's own words. */
export type DefaultValue =
  /** Canonical text of the column's type. */
  | { readonly kind: 'value'; readonly cell: Text }
  | { readonly kind: 'now' | 'today' }
  /** SQL that only this engine reads. */
  | { readonly kind: 'native'; readonly engine: string; readonly sql: string };

/** What the catalogue says of a column beyond `Column`. */
export interface ColumnDetails {
  readonly default?: DefaultValue;
  /** The default as the catalogue has it, for people. */
  readonly defaultSql?: string;
  /** Expression of a generated column, in SQL of this engine. */
  readonly expression?: string;
  /** The whole type as its own engine makes it again, character set and all; absent: `Column.native`. */
  readonly native?: string;
  /** The next value of the sequence or counter behind it. */
  readonly position?: bigint;
}

export interface IndexDefinition {
  readonly name: string;
  readonly columns: readonly string[];
  readonly unique: boolean;
}

/** Something of a table that is no plain column, key or index: it is told, never dropped in silence. */
export interface OtherPart {
  readonly kind:
    | 'check'
    | 'trigger'
    | 'index'
    | 'exclusion'
    | 'partitioning'
    | 'inheritance'
    | 'rule'
    | 'policy'
    | 'collation'
    | 'sequence';
  readonly name: string;
  /** As its engine writes it, where it can be had. */
  readonly definition?: string;
  /** The statement that makes it again on an engine of the same kind, with `{table}` for the table. */
  readonly again?: string;
  /** Why it is not made again, where that does not lie in its kind: the end of a sentence. */
  readonly reason?: string;
}

/** What a table is made of beyond what comparing needs (`Table`). */
export interface TableDetails {
  readonly columns: ReadonlyMap<string, ColumnDetails>;
  /** Unique keys and plain indexes, over whole columns; without the primary key. */
  readonly indexes: readonly IndexDefinition[];
  readonly others: readonly OtherPart[];
}

export interface ColumnDefinition {
  readonly name: string;
  readonly type: ColumnType;
  /** The type as the target's own engine writes it: both sides are of one kind, and it is made again as it is. */
  readonly native?: string;
  readonly nullable: boolean;
  readonly default?: DefaultValue;
  readonly identity?: 'always' | 'by_default';
  /** The next value of an identity column. */
  readonly position?: bigint;
  /** Expression of a generated column in the target's own SQL. */
  readonly expression?: string;
}

/** A table to be made, in no engine's words. */
export interface TableDefinition extends TableName {
  readonly columns: readonly ColumnDefinition[];
  readonly primaryKey?: IndexDefinition;
  /** Unique keys and plain indexes. */
  readonly indexes: readonly IndexDefinition[];
  readonly foreignKeys: readonly ForeignKey[];
  /** Columns that foreign keys of other tables refer to. */
  readonly referenced: readonly (readonly string[])[];
  /** What else to make again: of a table of the target's own engine. */
  readonly others: readonly OtherPart[];
}

/** A statement, and what it makes: `unique key orders_no_key on (no)`. */
export interface DraftStatement {
  readonly what: string;
  readonly sql: string;
  /** It makes nothing: it asks whether what was made before holds, and fails where it does not. */
  readonly asks?: true;
}

/** How one engine makes a table. */
export interface TableDraft {
  /** The table with what must be there before rows are. */
  readonly create: readonly DraftStatement[];
  /** What is quicker, or only possible, once the rows are there: keys and indexes, then positions of sequences. */
  readonly after: readonly DraftStatement[];
  /** Made when every table has its rows and keys. */
  readonly foreignKeys: readonly DraftStatement[];
  /** Each column as this engine writes it after its name, its type alone, and the type that it will be read as. */
  readonly columns: readonly {
    readonly name: string;
    readonly sql: string;
    readonly native: string;
    readonly type: ColumnType;
  }[];
  /** What is made in another way than asked, or not at all: full sentences. */
  readonly notes: readonly string[];
}

/** Makes tables. */
export interface SchemaBuilder {
  /** Why this name cannot be had here; undefined: it can. */
  refuses(name: string): string | undefined;
  /** Bytes of UTF-8 that a name may have. */
  readonly longestName: number;
  /** Where the name of an index must be the only one of its kind. */
  readonly indexNames: 'table' | 'schema';
  /** Digits of the widest decimal, where that is less than others have; absent: no matter. */
  readonly widestDecimal?: number;
  /** Pure: nothing is asked of the database. */
  draft(table: TableDefinition): TableDraft;
  /** The statement that gives an existing table a column, or a column the type, the default or the NULL it should have. */
  alter(table: TableName, column: string, draft: TableDraft, how: 'add' | 'type' | 'nullable' | 'default'): string;
  /** Which of these types, as their own engine writes them, this database does not know. Absent: types are not named by users. */
  unknownTypes?(natives: readonly string[], o: Cancel): Promise<readonly string[]>;
  /** Runs one statement, in a transaction of its own where the engine has that for definitions. */
  run(statement: DraftStatement, o: Cancel): Promise<void>;
}

export type Loaded =
  /** Rows that are in the table now because of this step. */
  | { readonly status: 'done'; readonly rows: number }
  /** The marker was there: an earlier attempt had committed. Nothing written now. */
  | { readonly status: 'already' }
  /** Bytes only: the database would not take them, nothing was written. Rows tell which of them it is. */
  | { readonly status: 'refused'; readonly reason: string };

export interface LoadOptions extends Cancel {
  /** A row the database would not take, and its words: the row is left out, the others go on. Inside the transaction. */
  refused(row: Row, reason: string): void;
  /** Called inside the transaction when all rows are written. */
  beforeCommit(): Promise<void>;
}

/**
 * Loads rows into a table that nobody else writes. One step is one transaction with its marker: done as a
 * whole, or not at all, and never twice.
 */
export interface Loader {
  /** Rows of one step that are worth a transaction. */
  readonly stepRows: number;
  /** How many steps may be under way at a time. */
  readonly lanes: number;
  /** `rows`: cells in the order of `columns`, each canonical in its column's own type. */
  load(
    mark: StepMark,
    table: Table,
    columns: readonly string[],
    rows: AsyncIterable<Batch<Row>>,
    o: LoadOptions,
  ): Promise<Loaded>;
  /** The byte forms that this table can be loaded from, see `BulkRows`. */
  readonly bytes?: {
    forms(table: Table, columns: readonly string[], o: Cancel): Promise<readonly string[]>;
    load(
      mark: StepMark,
      table: Table,
      columns: readonly string[],
      source: { readonly form: string; readonly bytes: AsyncIterable<Buffer> },
      o: LoadOptions,
    ): Promise<Loaded>;
  };
}
