import { memoryDatabase, memoryEndpoint } from '../../../src/engines/memory/endpoint.ts';
import type { MemoryTable } from '../../../src/engines/memory/store.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import type { Column, UniqueKey } from '../../../src/model/schema.ts';
import type { Edit, Harness, KitColumn, KitRow, KitTable } from '../harness.ts';

const column = (c: KitColumn): Column => ({
  name: c.name,
  type: c.type,
  native: c.type.kind,
  nullable: c.nullable ?? false,
  ...(c.serial ? { serial: true as const } : {}),
  ...(c.serial === 'identity' ? { generated: 'identity' as const } : {}),
  ...(c.generated ? { generated: 'always' as const } : {}),
});

const memoryTable = (t: KitTable): MemoryTable => {
  const columns = t.columns.map(column);
  const total = (names: readonly string[]): boolean => columns.every((c) => !names.includes(c.name) || !c.nullable);
  const unique = (name: string, names: readonly string[], primary: boolean): UniqueKey => ({
    name,
    columns: names,
    primary,
    total: total(names),
  });
  const primary = t.key.length > 0 ? [unique(`${t.name}_pkey`, t.key, true)] : [];
  const others = (t.unique ?? []).map((u, i) => unique(`${t.name}_unique_${i}`, u, false));
  return {
    table: {
      name: t.name,
      kind: 'table',
      columns,
      uniques: [...primary, ...others],
      foreignKeys: [],
      triggers: [],
      indexes: [],
    },
    rows: t.rows,
    fill: Object.fromEntries(t.columns.flatMap((c) => (c.generated ? [[c.name, c.generated.of]] : []))),
    ...(t.check ? { check: (row) => (t.check!.refuses(row) ? `check constraint (${t.check!.sql})` : undefined) } : {}),
  };
};

export const memoryHarness: Harness = {
  name: 'memory',
  hashed: ['bool', 'int', 'decimal', 'float', 'text', 'uuid', 'bytes', 'date', 'time', 'timestamp', 'instant'],
  database: async (tables) => {
    let skewMs = 0;
    const database = memoryDatabase(tables.map(memoryTable), { ...systemClock, now: () => Date.now() + skewMs });
    const states: unknown[] = [];
    const cell = (table: KitTable, c: KitColumn, row: KitRow): string | null => {
      if (c.generated) return c.generated.of(row);
      if (!c.serial || row[c.name] !== undefined) return row[c.name] ?? null;
      const name = `${table.name} ${c.name}`;
      const next = (database.state.sequences.get(name) ?? 0n) + 1n;
      database.state = { ...database.state, sequences: new Map([...database.state.sequences, [name, next]]) };
      return String(next);
    };
    const edit = async (name: string, change: Edit): Promise<void> => {
      const table = tables.find((t) => t.name === name)!;
      const named = (row: readonly (string | null)[]): KitRow =>
        Object.fromEntries(table.columns.map((c, i) => [c.name, row[i]!]));
      const cells = (row: KitRow): (string | null)[] => table.columns.map((c) => cell(table, c, row));
      const shows = (row: KitRow, where: KitRow): boolean =>
        Object.entries(where).every(([n, text]) => row[n] === text);
      const added = 'insert' in change ? change.insert.map(cells) : [];
      database.edit(name, (rows) => {
        if ('insert' in change) return [...rows, ...added];
        if ('delete' in change) return rows.filter((row) => !shows(named(row), change.delete));
        return rows.map((row) => (shows(named(row), change.where) ? cells({ ...named(row), ...change.update }) : row));
      });
    };
    return {
      connect: async ({ writable }) => memoryEndpoint(database, { writable }),
      edit,
      trace: async () => {
        if (!states.includes(database.state)) states.push(database.state);
        return String(states.indexOf(database.state));
      },
      expireLocks: async () => {
        skewMs += 3_600_000;
      },
      markers: async () => database.state.steps.size,
      [Symbol.asyncDispose]: async () => {},
    };
  },
};
