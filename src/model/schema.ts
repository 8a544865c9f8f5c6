/** What a value is, apart from how an engine stores it. Two columns are compared as one common type. */
export type ColumnType =
  | { readonly kind: 'bool' | 'date' | 'uuid' | 'bytes' | 'interval' | 'bit' }
  | { readonly kind: 'int'; readonly bits: 16 | 32 | 64 }
  /** Without precision: any number of digits. `special`: NaN and infinities can be stored. */
  | { readonly kind: 'decimal'; readonly precision?: number; readonly scale?: number; readonly special?: true }
  | { readonly kind: 'float'; readonly bits: 32 | 64 }
  /** `maxLength` in characters; `padded`: CHAR(n), trailing U+0020 are not part of the value. */
  | { readonly kind: 'text'; readonly maxLength?: number; readonly padded?: true }
  | { readonly kind: 'enum'; readonly labels: readonly string[] }
  /** Digits of the fraction of a second that can be stored, 0..6. */
  | { readonly kind: 'time' | 'timestamp' | 'instant'; readonly fraction: number }
  /** `binary`: the engine keeps a parsed form (jsonb); otherwise the text as it was written. */
  | { readonly kind: 'json'; readonly binary: boolean }
  /** A type only this engine has: compared as its text, and only with the same native type or with text. */
  | { readonly kind: 'opaque'; readonly native: string };

export type Kind = ColumnType['kind'];

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** The type as the engine writes it, e.g. `numeric(10,2)`: for messages and DDL. */
  readonly native: string;
  readonly nullable: boolean;
  /** The engine does not enforce the type (SQLite): any cell can hold anything. */
  readonly loose?: true;
  /** `always`: computed or GENERATED ALWAYS, not writable. `identity`: GENERATED ALWAYS AS IDENTITY, writable by override. */
  readonly generated?: 'always' | 'identity';
  /** Filled by a sequence or rowid when absent; moved on after explicit inserts. */
  readonly serial?: true;
  readonly hasDefault?: true;
  /** Why its cells cannot be read (a type that no SQL shows): it is not compared, and its table cannot be written. */
  readonly unreadable?: string;
}

export interface TableName {
  /** Absent where the engine has no schemas. */
  readonly schema?: string;
  readonly name: string;
  /** Its own rows only: those of tables that inherit from it (PostgreSQL) are theirs. */
  readonly only?: true;
}

export interface ForeignKey {
  readonly name: string;
  readonly columns: readonly string[];
  readonly references: TableName;
  readonly referencedColumns: readonly string[];
  readonly deferrable: boolean;
  /** Looked at when a transaction ends, unless it says otherwise. */
  readonly deferred?: true;
  /** A key of several columns is either all NULL or refers to a row. */
  readonly matchFull?: true;
  /** What deleting a referenced row does to the rows that refer to it; absent: nothing, it is refused. */
  readonly onDelete?: 'cascade' | 'set_null' | 'set_default';
  /** What changing a referenced value does to the rows that refer to it; absent: nothing, it is refused. */
  readonly onUpdate?: 'cascade' | 'set_null' | 'set_default';
}

export interface UniqueKey {
  readonly name: string;
  readonly columns: readonly string[];
  /** All columns NOT NULL, not partial, not on expressions: usable as a comparison key. */
  readonly total: boolean;
  readonly primary: boolean;
}

export interface Table extends TableName {
  readonly kind: 'table' | 'view' | 'partitioned';
  /** Tables that inherit from it, with `only`: tables of their own, whose rows the engine would show here, too. */
  readonly descendants?: readonly TableName[];
  readonly columns: readonly Column[];
  /** Primary key first. */
  readonly uniques: readonly UniqueKey[];
  readonly foreignKeys: readonly ForeignKey[];
  /** Names of enabled user triggers: they may change what is written. */
  readonly triggers: readonly string[];
  /** Planner's estimate, for progress only; absent when unknown. */
  readonly estimatedRows?: number;
  /** Leading columns of each index, for advice. */
  readonly indexes: readonly (readonly string[])[];
}

export interface Schema {
  readonly tables: readonly Table[];
  /** Schemas of the database that hold tables and were not asked for. */
  readonly unseen?: readonly { readonly schema: string; readonly tables: number }[];
  /** Where unqualified names are looked up, e.g. `public`; absent without schemas. */
  readonly defaultSchema?: string;
}

/** `schema.name`, or the bare name. For people and JSON; never for SQL. */
export const tableLabel = (t: TableName): string => (t.schema === undefined ? t.name : `${t.schema}.${t.name}`);
