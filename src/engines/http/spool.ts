import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setImmediate as breathe } from 'node:timers/promises';

/** An item on its way to an order, as JSON. */
export interface Item {
  /** The resource's own key, to see that none comes twice; undefined: it has none. */
  readonly key: string | undefined;
  readonly json: string;
}

/** Memory of one spool before its pages go to the disk, kB. */
const cacheKb = 16 * 1024;
export const chunkRows = 1000;

/**
 * The items of one enumeration, in a private temporary SQLite file that the operating system forgets with us. What
 * fits in some megabytes never reaches the disk. Each call is short: a chunk of rows.
 */
export class Spool implements Disposable {
  readonly db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #chunk: StatementSync;
  #items = 0;
  #bytes = 0;
  #tables = 0;
  #users = 1;

  constructor() {
    // An empty name: on disk, deleted when it is closed.
    this.db = new DatabaseSync('');
    this.db.exec(`pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -${cacheKb}`);
    this.db.exec('create table item (id integer primary key, key text unique, json text not null)');
    this.#insert = this.db.prepare('insert into item (key, json) values (?, ?) on conflict (key) do nothing');
    this.#chunk = this.db.prepare('select id, json from item where id > ? order by id limit ?');
  }

  get items(): number {
    return this.#items;
  }

  /** Of the items. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A name that no table here has. */
  newTable(): string {
    return `sorted_${++this.#tables}`;
  }

  /** Adds a page; gives the key of the first item that is there already. */
  add(page: readonly Item[]): string | undefined {
    for (const { key, json } of page) {
      const { changes } = this.#insert.run(key ?? null, json);
      if (Number(changes) === 0) return key;
      this.#items++;
      this.#bytes += json.length;
    }
    return undefined;
  }

  /** The item with this key, as JSON. */
  find(key: string): string | undefined {
    return (this.db.prepare('select json from item where key = ?').get(key) as { json: string } | undefined)?.json;
  }

  /** One more user: the spool is closed when the last has disposed it. */
  share(): this {
    this.#users++;
    return this;
  }

  /** All items in the order they came. */
  async *chunks(signal: AbortSignal): AsyncGenerator<readonly { readonly id: number; readonly json: string }[]> {
    let after = 0;
    for (;;) {
      await breathe(undefined, { signal });
      const rows = this.#chunk.all(after, chunkRows) as { id: number; json: string }[];
      if (rows.length === 0) return;
      yield rows;
      after = rows.at(-1)!.id;
    }
  }

  [Symbol.dispose](): void {
    if (--this.#users === 0) this.db.close();
  }
}
