import type { Conflict } from '../../../src/model/conflicts.ts';
import type { Deeds, Order, Person, Shown } from './users.ts';

const people = ['born', 'email', 'name', 'note', 'status', 'n', 'stamp'] as const;
const orders = ['born', 'person', 'item'] as const;

/** What was kept of both sides and says what became of them: a policy ruled, a person chose, or it waits for one. */
const isRecord = (c: Conflict): boolean =>
  c.state === 'ruled' ||
  c.state === 'pending' ||
  c.state === 'decided' ||
  (c.state === 'resolved' && c.resolution !== null);

/** Where a column stands in a record, however the engine of the source spells its name. */
const placeOf = (c: Conflict, what: string): number => {
  const at = c.columns.findIndex(({ column }) => column.toLowerCase() === what);
  if (at < 0) throw new Error(`a conflict of ${c.pair} has no column ${what}`);
  return at;
};

/** Where this is not empty a write was lost, or the sides do not agree. Both sides at rest, no fault under way. */
export const complaints = (
  { source, target }: { readonly source: Shown; readonly target: Shown },
  deeds: Deeds,
  conflicts: readonly Conflict[],
): readonly string[] => {
  const wrong: string[] = [];
  const records = conflicts.filter(isRecord);
  const byKey = Map.groupBy(records, (c) => `${c.pair.replace(/^.*\./, '').toLowerCase()} ${c.key[0]}`);
  const of = (table: string, key: string): readonly Conflict[] => byKey.get(`${table} ${key}`) ?? [];
  const waits = (table: string, key: string): boolean => of(table, key).some((c) => c.state === 'pending');

  const same = <T extends object>(
    table: 'people' | 'orders',
    columns: readonly (keyof T)[],
    left: ReadonlyMap<string, T>,
    right: ReadonlyMap<string, T>,
  ): void => {
    for (const key of new Set([...left.keys(), ...right.keys()])) {
      const [a, b] = [left.get(key), right.get(key)];
      const differ = a === undefined || b === undefined ? ['row'] : columns.filter((c) => a[c] !== b[c]);
      if (differ.length > 0 && !waits(table, key))
        wrong.push(`${table} ${key} differs in ${differ.join(', ')} and waits for nobody: ${JSON.stringify([a, b])}`);
    }
  };
  same<Person>('people', people, source.people, target.people);
  same<Order>('orders', orders, source.orders, target.orders);
  for (const [key, a] of source.people) {
    const b = target.people.get(key);
    if (b === undefined || waits('people', key)) continue;
    if (a.score === null || b.score === null ? a.score !== b.score : Math.abs(Number(a.score) - Number(b.score)) > 0.5)
      wrong.push(`people ${key}: scores ${a.score} and ${b.score} are further apart than may be`);
  }

  const finals = new Set(
    [source, target].flatMap((s) => [
      ...[...s.people.values()].flatMap((p) => [p.born, p.name, p.note]),
      ...[...s.orders.values()].flatMap((r) => [r.born, r.item]),
    ]),
  );
  for (const [value, { table, key, what }] of deeds.written) {
    if (finals.has(value)) continue;
    const kept = of(table, key).some((c) => {
      const at = placeOf(c, what);
      const whole = c.columns.every((column) => !column.disputed);
      const told = c.state !== 'ruled' || whole || c.columns[at]?.disputed === true;
      return told && (c.source?.[at] === value || c.target?.[at] === value);
    });
    if (!kept)
      wrong.push(
        `lost: ${table} ${key}.${what} = ${value}: ${JSON.stringify(conflicts.filter((c) => c.key[0] === key))}`,
      );
  }

  for (const [table, rows] of [
    ['people', [...source.people.values(), ...target.people.values()]],
    ['orders', [...source.orders.values(), ...target.orders.values()]],
  ] as const) {
    for (const row of rows) {
      if (!deeds.ended.has(row.born)) continue;
      const told = of(table, row.id).some((c) => {
        const at = placeOf(c, 'born');
        return c.source?.[at] !== row.born || c.target?.[at] !== row.born;
      });
      // Kept beside another one under a key of its own: the row that was deleted was the one it had been taken from.
      const isCopy = conflicts.some((c) => {
        if (!c.pair.toLowerCase().endsWith(table) || c.key[0] === row.id) return false;
        const at = placeOf(c, 'born');
        return c.type === 'insert_insert' && c.target?.[at] === row.born;
      });
      if (!told && !isCopy) wrong.push(`${table} ${row.id} is back, though a user had deleted ${row.born}`);
    }
  }

  for (const [key, n] of deeds.counters) {
    const [a, b] = [source.people.get(key), target.people.get(key)];
    if (a === undefined || b === undefined || deeds.reused.has(key) || waits('people', key)) continue;
    const computed = of('people', key).every((c) => c.state === 'ruled' && c.type === 'update_update');
    if (!computed) continue;
    if (Number(a.n) !== n || Number(b.n) !== n)
      wrong.push(`people ${key}: the counter should be ${n} and is ${a.n} and ${b.n}`);
  }
  return wrong;
};
