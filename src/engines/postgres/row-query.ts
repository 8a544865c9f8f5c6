import type pg from 'pg';

/** The part of the driver's connection that this statement talks to. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void; write(bytes: Uint8Array): void };
  /** Statements that the server has parsed on this connection, by name. */
  readonly parsedStatements: Readonly<Record<string, string | undefined>>;
  parse(q: { readonly text: string; readonly name: string }): void;
}

type Cells = readonly (string | null)[];

/** Execute of the unnamed portal, all its rows, and Sync. */
const go = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0x53, 0, 0, 0, 4]);

/** Bind of texts to a statement, for an answer in texts, and the order to go, as one write: three would cost three times as much. */
const bound = (statement: string, values: Cells): Buffer => {
  let length = 4 + 1 + Buffer.byteLength(statement) + 1 + 2 + 2 + 2;
  const lengths = values.map((value) => (value === null ? -1 : Buffer.byteLength(value)));
  for (const one of lengths) length += 4 + Math.max(0, one);
  const message = Buffer.allocUnsafe(1 + length + go.length);
  message[0] = 0x42;
  let at = message.writeInt32BE(length, 1);
  message[at++] = 0;
  at += message.write(statement, at);
  message[at++] = 0;
  at = message.writeInt16BE(0, at);
  // unsigned: the protocol counts to 65,535
  at = message.writeUInt16BE(values.length, at);
  for (const [i, value] of values.entries()) {
    at = message.writeInt32BE(lengths[i]!, at);
    if (value !== null) at += message.write(value, at);
  }
  at = message.writeInt16BE(0, at);
  go.copy(message, at);
  return message;
};

/**
 * One statement with values, its rows as the server's text. Unlike the driver's own it does not ask what the columns are
 * each time: who sends it knows.
 */
export class RowQuery implements pg.Submittable {
  /** The server keeps it under this name; empty: it is parsed each time. Read by the driver. */
  readonly name: string;
  readonly text: string;
  readonly #values: Cells;
  readonly #rows: Cells[] = [];
  #end: ((error: unknown, rows: Cells[]) => void) | undefined;

  /** `end`: told once, of the rows or of what the server or the driver threw; must not throw. */
  constructor(name: string | undefined, text: string, values: Cells, end: (error: unknown, rows: Cells[]) => void) {
    this.name = name ?? '';
    this.text = text;
    this.#values = values;
    this.#end = end;
  }

  // --- called by the driver ---

  submit(connection: pg.Connection): void {
    const wire = connection as unknown as Wire;
    const { name, text } = this;
    const message = bound(name, this.#values);
    if (name !== '' && wire.parsedStatements[name] === text) return void wire.stream.write(message);
    wire.stream.cork();
    wire.parse({ text, name });
    wire.stream.write(message);
    wire.stream.uncork();
  }
  handleDataRow({ fields }: { readonly fields: Cells }): void {
    this.#rows.push(fields);
  }
  handleError(error: unknown): void {
    this.#tell(error);
  }
  handleReadyForQuery(): void {
    this.#tell(undefined);
  }
  #tell(error: unknown): void {
    const end = this.#end;
    this.#end = undefined;
    end?.(error, this.#rows);
  }
  handleRowDescription(): void {}
  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}
