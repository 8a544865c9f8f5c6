import type pg from 'pg';

/** The part of the driver's connection that this statement talks to. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void; write(bytes: Uint8Array): void };
  /** Statements that the server has parsed on this connection, by name. */
  readonly parsedStatements: Record<string, string | undefined>;
  parse(q: { readonly text: string; readonly name: string }): void;
}

type Cells = readonly (string | null)[];

/** Execute of the unnamed portal, all its rows, and Sync. */
const go = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0x53, 0, 0, 0, 4]);

/** Execute alone: another statement follows before Sync. */
const executed = go.subarray(0, 10);

/** A statement with its values. `name`: the server keeps it under that; empty: it is parsed each time. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: Cells;
}

/** Bind of texts to each statement, for answers in texts, and the order to go, as one write: several would cost as many times as much. */
const bound = (statements: readonly Statement[]): Buffer => {
  let length = go.length - executed.length;
  const lengths: number[] = [];
  for (const { name, values } of statements) {
    length += 1 + 4 + 1 + Buffer.byteLength(name) + 1 + 2 + 2 + 2 + executed.length;
    for (const value of values) {
      const one = value === null ? -1 : Buffer.byteLength(value);
      lengths.push(one);
      length += 4 + Math.max(0, one);
    }
  }
  const message = Buffer.allocUnsafe(length);
  let at = 0;
  let next = 0;
  for (const { name, values } of statements) {
    const begin = at + 1;
    message[at] = 0x42;
    at += 5;
    message[at++] = 0;
    at += message.write(name, at);
    message[at++] = 0;
    at = message.writeInt16BE(0, at);
    // unsigned: the protocol counts to 65,535
    at = message.writeUInt16BE(values.length, at);
    for (const value of values) {
      at = message.writeInt32BE(lengths[next++]!, at);
      if (value !== null) at += message.write(value, at);
    }
    at = message.writeInt16BE(0, at);
    message.writeInt32BE(at - begin, begin);
    at += executed.copy(message, at);
  }
  go.copy(message, at, executed.length);
  return message;
};

/** Has the server parsed the statement on this connection? */
export const isParsed = (client: pg.Client, { name, text }: Pick<Statement, 'name' | 'text'>): boolean =>
  name !== '' && (client as unknown as { readonly connection: Wire }).connection.parsedStatements[name] === text;

/** The server is told to keep this statement no longer. */
export const forgetParsed = (client: pg.Client, name: string): void => {
  delete (client as unknown as { readonly connection: Wire }).connection.parsedStatements[name];
};

/**
 * Statements with values, their rows as the server's text. Unlike the driver's own it does not ask what the columns are
 * each time: who sends it knows. Of several, which the server has parsed all, each is answered for itself; when one
 * fails nothing is told of the others.
 */
export class RowQuery implements pg.Submittable {
  /** Read by the driver, which keeps in mind what has been parsed. */
  readonly name: string;
  readonly text: string;
  readonly #statements: readonly Statement[];
  readonly #answers: Cells[][] = [];
  #rows: Cells[] = [];
  #bytes = 0;
  #end: ((error: unknown, answers: Cells[][], bytes: number) => void) | undefined;

  /**
   * `end`: told once, of the rows of each (and of how many bytes they are all together) or of what the server or the
   * driver threw; must not throw.
   */
  constructor(statements: readonly Statement[], end: (error: unknown, answers: Cells[][], bytes: number) => void) {
    const [first] = statements;
    const alone = statements.length === 1;
    this.name = alone ? first!.name : '';
    this.text = alone ? first!.text : '';
    this.#statements = statements;
    this.#end = end;
  }

  // --- called by the driver ---

  submit(connection: pg.Connection): void {
    const wire = connection as unknown as Wire;
    const { name, text } = this;
    const message = bound(this.#statements);
    if (this.#statements.length > 1 || (name !== '' && wire.parsedStatements[name] === text))
      return void wire.stream.write(message);
    wire.stream.cork();
    wire.parse({ text, name });
    wire.stream.write(message);
    wire.stream.uncork();
  }
  handleDataRow({ fields, length }: { readonly fields: Cells; readonly length: number }): void {
    this.#bytes += length;
    this.#rows.push(fields);
  }
  handleCommandComplete(): void {
    this.#answers.push(this.#rows);
    this.#rows = [];
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
    end?.(error, this.#answers, this.#bytes);
  }
  handleRowDescription(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}
