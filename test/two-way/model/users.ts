import type { TwoWaySide } from '../../../src/model/two-way-runs.ts';
import type { Random } from '../../acceptance/random.ts';
import type { Side } from './side.ts';

/** A row of `people`, as text; NULL: null. */
export interface Person {
  readonly id: string;
  /** Set when the row is inserted, and never again: which life of the key this is. */
  readonly born: string;
  readonly email: string | null;
  readonly name: string | null;
  readonly note: string | null;
  readonly status: string | null;
  readonly n: string;
  readonly score: string | null;
  readonly stamp: string;
}

/** A row of `orders`, each of a person. */
export interface Order {
  readonly id: string;
  readonly born: string;
  readonly person: string | null;
  readonly item: string | null;
}

export interface Shown {
  readonly people: ReadonlyMap<string, Person>;
  readonly orders: ReadonlyMap<string, Order>;
}

const peopleColumns = ['id', 'born', 'email', 'name', 'note', 'status', 'n', 'score', 'stamp'] as const;
const orderColumns = ['id', 'born', 'person', 'item'] as const;

export const ddl = [
  `create table people (id integer not null primary key, born varchar(20) not null, email varchar(20) unique,
    name varchar(20), note varchar(20), status varchar(20), n integer not null, score numeric(9, 2), stamp integer not null)`,
  `create table orders (id integer not null primary key, born varchar(20) not null,
    person integer references people (id), item varchar(20))`,
];

const query = (columns: readonly string[], table: string): string =>
  `select ${columns.map((c) => `coalesce(cast(${c} as varchar(20)), '~')`).join(` || '|' || `)} from ${table}`;

const read = async <T>(side: Side, columns: readonly string[], table: string): Promise<ReadonlyMap<string, T>> =>
  new Map(
    (await side.texts(query(columns, table))).map((text) => {
      const cells = text.split('|').map((cell) => (cell === '~' ? null : cell));
      return [cells[0]!, Object.fromEntries(columns.map((c, i) => [c, cells[i]!])) as T];
    }),
  );

export const shown = async (side: Side): Promise<Shown> => ({
  people: await read<Person>(side, peopleColumns, 'people'),
  orders: await read<Order>(side, orderColumns, 'orders'),
});

const literal = (value: string | number | null): string =>
  value === null ? 'null' : typeof value === 'number' ? String(value) : `'${value}'`;

/** What users did, as far as it can be looked for in the end. */
export interface Deeds {
  /** Values that a user wrote, each once and nowhere else, that no user has replaced or deleted since. */
  readonly written: Map<string, { readonly table: 'people' | 'orders'; readonly key: string; readonly what: string }>;
  /** Lives of rows that a user has ended. */
  readonly ended: Set<string>;
  /** Keys that have been inserted more than once. */
  readonly reused: Set<string>;
  /** By key of `people`: what the counter should show. */
  readonly counters: Map<string, number>;
  readonly inserted: Set<string>;
  /** What was done, in order, to be printed. */
  readonly log: string[];
}

export const noDeeds = (): Deeds => ({
  written: new Map(),
  ended: new Set(),
  reused: new Set(),
  counters: new Map(),
  inserted: new Set(),
  log: [],
});

/** Refused because of other rows: it never happened. */
const isRefused = (error: unknown): boolean =>
  ['23505', '23503'].includes((error as { code?: string }).code ?? '') ||
  /unique|duplicate|foreign key/i.test((error as Error).message);

const keys = 14;
const emails = ['e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'e7', 'e8'];
const statuses = ['new', 'active', 'done'];

/** Users of both sides, who do what comes into their minds, and see no more than their own side. */
export class Users {
  readonly deeds: Deeds;
  readonly #random: Random;
  readonly #sides: Readonly<Record<TwoWaySide, Side>>;
  #steps = 0;

  constructor(random: Random, sides: Readonly<Record<TwoWaySide, Side>>, deeds: Deeds) {
    this.#random = random;
    this.#sides = sides;
    this.deeds = deeds;
  }

  get steps(): number {
    return this.#steps;
  }

  /** One deed of one user (of two, where both do the same). */
  async step(): Promise<void> {
    const { chance, pick, int } = this.#random;
    const name = pick(['source', 'target'] as const);
    const at = ++this.#steps;
    const dice = int(100);
    const key = String(1 + int(keys));
    if (dice < 7) return await this.#both(key, at);
    const side = this.#sides[name];
    const now = await shown(side);
    if (dice < 27) return await this.#order(name, now, String(1 + int(8)), at);
    if (dice < 33) return await this.#exchange(name, now);
    const person = now.people.get(key);
    if (person === undefined) return void (await this.#insert(name, key, at));
    if (dice < 44) {
      if ((await this.#delete(name, person)) && chance(0.5)) await this.#insert(name, key, at);
      return;
    }
    return await this.#update(name, person, at);
  }

  async #do(name: TwoWaySide, ...statements: readonly string[]): Promise<boolean> {
    try {
      await this.#sides[name].run(...statements);
    } catch (error) {
      if (!isRefused(error)) throw error;
      return false;
    }
    this.deeds.log.push(`${this.#steps} ${name}: ${statements.join('; ')}`);
    return true;
  }

  #wrote(table: 'people' | 'orders', key: string, what: string, value: string): void {
    this.deeds.written.set(value, { table, key, what });
  }

  #replaced(...values: readonly (string | null)[]): void {
    for (const value of values) if (value !== null) this.deeds.written.delete(value);
  }

  async #insert(name: TwoWaySide, key: string, at: number): Promise<boolean> {
    const { chance, pick, int } = this.#random;
    const n = int(50);
    const email = chance(0.6) ? pick(emails) : null;
    const cells = [Number(key), `b${at}`, email, `a${at}`, `o${at}`, pick(statuses), n, int(9), at];
    const sql = `insert into people (${peopleColumns.join(', ')}) values (${cells.map(literal).join(', ')})`;
    if (!(await this.#do(name, sql))) return false;
    for (const [what, value] of [
      ['born', `b${at}`],
      ['name', `a${at}`],
      ['note', `o${at}`],
    ] as const)
      this.#wrote('people', key, what, value);
    const { deeds } = this;
    if (deeds.inserted.has(key)) deeds.reused.add(key);
    deeds.inserted.add(key);
    deeds.counters.set(key, n);
    return true;
  }

  async #delete(name: TwoWaySide, person: Person): Promise<boolean> {
    if (!(await this.#do(name, `delete from people where id = ${person.id}`))) return false;
    this.#replaced(person.born, person.name, person.note);
    this.deeds.ended.add(person.born);
    return true;
  }

  async #update(name: TwoWaySide, person: Person, at: number): Promise<void> {
    const { chance, pick, int } = this.#random;
    const sets: string[] = [];
    const done: (() => void)[] = [];
    for (const [what, letter] of [
      ['name', 'a'],
      ['note', 'o'],
    ] as const) {
      if (!chance(0.45)) continue;
      sets.push(`${what} = '${letter}${at}'`);
      done.push(() => {
        this.#replaced(person[what]);
        this.#wrote('people', person.id, what, `${letter}${at}`);
      });
    }
    if (chance(0.4)) {
      const more = int(9) - 3;
      sets.push(`n = n + ${more}`);
      // Of a row that is kept beside another one under a key of its own nobody knows what it began with.
      const had = this.deeds.counters.get(person.id);
      if (had !== undefined) done.push(() => this.deeds.counters.set(person.id, had + more));
    }
    if (chance(0.2)) sets.push(`email = ${literal(chance(0.8) ? pick(emails) : null)}`);
    if (chance(0.2)) sets.push(`status = '${pick(statuses)}'`);
    if (chance(0.2)) sets.push(`score = ${literal(pick([null, '1.00', '1.30', '1.60', '7.25']))}`);
    if (chance(0.5)) sets.push(`stamp = ${at}`);
    if (sets.length === 0) return;
    if (await this.#do(name, `update people set ${sets.join(', ')} where id = ${person.id}`)) for (const d of done) d();
  }

  /** Two rows of a side exchange a value that is unique. */
  async #exchange(name: TwoWaySide, { people }: Shown): Promise<void> {
    const all = [...people.values()].filter((p) => p.email !== null);
    if (all.length < 2) return;
    const one = this.#random.pick(all);
    const other = this.#random.pick(all.filter((p) => p !== one));
    await this.#do(
      name,
      `update people set email = null where id = ${one.id}`,
      `update people set email = '${one.email}' where id = ${other.id}`,
      `update people set email = '${other.email}' where id = ${one.id}`,
    );
  }

  /** The same edit on both sides. */
  async #both(key: string, at: number): Promise<void> {
    for (const name of ['source', 'target'] as const) {
      const person = (await shown(this.#sides[name])).people.get(key);
      if (person === undefined) continue;
      const sql = `update people set name = 'a${at}', stamp = ${at} where id = ${key}`;
      if (!(await this.#do(name, sql))) continue;
      this.#replaced(person.name);
      this.#wrote('people', key, 'name', `a${at}`);
    }
  }

  async #order(name: TwoWaySide, { people, orders }: Shown, key: string, at: number): Promise<void> {
    const { chance, pick } = this.#random;
    const order = orders.get(key);
    const person = chance(0.85) && people.size > 0 ? pick([...people.keys()].sort()) : null;
    const of = person === null ? null : Number(person);
    if (order === undefined) {
      const cells = [Number(key), `b${at}`, of, `i${at}`];
      const sql = `insert into orders (${orderColumns.join(', ')}) values (${cells.map(literal).join(', ')})`;
      if (!(await this.#do(name, sql))) return;
      this.#wrote('orders', key, 'born', `b${at}`);
      this.#wrote('orders', key, 'item', `i${at}`);
    } else if (chance(0.4)) {
      if (!(await this.#do(name, `delete from orders where id = ${key}`))) return;
      this.#replaced(order.born, order.item);
      this.deeds.ended.add(order.born);
    } else {
      const sql = `update orders set item = 'i${at}', person = ${literal(of)} where id = ${key}`;
      if (!(await this.#do(name, sql))) return;
      this.#replaced(order.item);
      this.#wrote('orders', key, 'item', `i${at}`);
    }
  }
}
