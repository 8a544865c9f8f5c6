import type { DraftStatement, TableDefinition } from '../../model/build.ts';

/** The most columns of a key or reference that this column is part of; 0: of none. Such columns cannot be of any length. */
export const keyColumnsAround = (table: TableDefinition, column: string): number => {
  const keys = [
    ...(table.primaryKey === undefined ? [] : [table.primaryKey.columns]),
    ...table.indexes.flatMap((i) => (i.unique ? [i.columns] : [])),
    ...table.foreignKeys.map((k) => k.columns),
    ...table.referenced,
  ].filter((columns) => columns.includes(column));
  return Math.max(0, ...keys.map((columns) => columns.length));
};

/** What is made again in its own engine's words. `name`: the table, quoted. */
export const madeAgain = (table: Pick<TableDefinition, 'name' | 'others'>, name: string): readonly DraftStatement[] =>
  table.others.flatMap((o) =>
    o.again === undefined
      ? []
      : [{ what: `${o.kind} ${o.name} of ${table.name}`, sql: o.again.replaceAll('{table}', () => name) }],
  );

/** What has to be said of the types that columns get. */
export const columnNotes = (
  table: TableDefinition,
  noteOf: (column: TableDefinition['columns'][number]) => string | undefined,
): readonly string[] =>
  table.columns.flatMap((c) => {
    const note = noteOf(c);
    return note === undefined ? [] : [`${table.name}.${c.name} ${note}`];
  });

/** The types of columns, the longest moved off the row (`off`) until together they take no more than `longest` bytes of it. */
export const withinRow = <M extends { readonly bytes: number; readonly off?: M | undefined }>(
  types: ReadonlyMap<string, M>,
  longest: number,
): ReadonlyMap<string, M> => {
  const made = new Map(types);
  const total = (): number => [...made.values()].reduce((sum, m) => sum + m.bytes, 0);
  const movable = [...made].filter(([, m]) => m.off !== undefined).sort((a, b) => b[1].bytes - a[1].bytes);
  for (const [name, m] of movable) {
    if (total() <= longest) break;
    made.set(name, m.off!);
  }
  return made;
};
