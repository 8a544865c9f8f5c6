import type { MemoryTable } from '../../src/engines/memory/store.ts';
import type { Column, ForeignKey, Table } from '../../src/model/schema.ts';

/** `id!` is the key, `name?` nullable, `name~` unique; all int64 when the name ends in `_id` or is `id`, else text. */
export const column = (spec: string): Column => {
  const name = spec.replace(/[!?~]/g, '');
  const int = name === 'id' || name.endsWith('_id');
  return {
    name,
    type: int ? { kind: 'int', bits: 64 } : { kind: 'text' },
    native: int ? 'bigint' : 'text',
    nullable: spec.includes('?'),
  };
};

export const reference = (
  column: string,
  parent: string,
  o: { readonly deferrable?: boolean; readonly onDelete?: 'cascade' } = {},
): ForeignKey => ({
  name: `${column}_fk`,
  columns: [column],
  references: { name: parent },
  referencedColumns: ['id'],
  deferrable: o.deferrable ?? false,
  ...(o.onDelete === undefined ? {} : { onDelete: o.onDelete }),
});

export const table = (
  name: string,
  columns: string,
  o: {
    readonly foreignKeys?: readonly ForeignKey[];
    readonly more?: readonly Column[];
    readonly triggers?: readonly string[];
  } = {},
): Table => {
  const specs = columns.split(' ');
  const unique = specs.filter((s) => s.includes('~')).map((s) => s.replace(/[!?~]/g, ''));
  return {
    name,
    kind: 'table',
    columns: [...specs.map(column), ...(o.more ?? [])],
    uniques: [
      {
        name: `${name}_pkey`,
        columns: specs.filter((s) => s.includes('!')).map((s) => s.replace(/[!?~]/g, '')),
        total: true,
        primary: true,
      },
      ...unique.map((c) => ({ name: `${name}_${c}_key`, columns: [c], total: true, primary: false })),
    ],
    foreignKeys: o.foreignKeys ?? [],
    triggers: o.triggers ?? [],
    indexes: [],
  };
};

export const rows = (text: string): (string | null)[][] =>
  text
    .split(';')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => line.split(',').map((cell) => (cell.trim() === '-' ? null : cell.trim())));

export const memoryTable = (t: Table, text: string, o: Omit<MemoryTable, 'table' | 'rows'> = {}): MemoryTable => ({
  table: t,
  rows: rows(text),
  ...o,
});
