import { createRequire } from 'node:module';

/**
 * The parts of the driver (node-firebird, pinned) that we use: its wire protocol, below its query functions, because
 * those convert values. Two things of it are mended here, in memory, so that an installed driver needs no patch.
 */

export interface Quad {
  readonly high: number;
  readonly low: number;
}

/** Reads big-endian XDR from `buffer` at `pos`. */
export interface XdrReader {
  readonly buffer: Buffer;
  pos: number;
}
export interface BlrWriter {
  addByte(b: number): void;
  addShort(n: number): void;
  addWord(n: number): void;
}
export interface XdrWriter {
  addDouble(x: number): void;
  addInt(n: number): void;
  addParamBuffer(b: Buffer): void;
}

/** One column of a result as the server describes it. `decode` must throw a RangeError when bytes are still missing. */
export interface OutputColumn {
  type: number;
  readonly subType: number;
  readonly scale: number;
  readonly length: number;
  decode(data: XdrReader): unknown;
  calcBlr(blr: BlrWriter): void;
}

/** A parameter on its way; `value` null is NULL. */
export interface WireParameter {
  readonly value: unknown;
  calcBlr(blr: BlrWriter): void;
  encode(data: XdrWriter): void;
}

export interface WireStatement {
  readonly handle: number;
  readonly type: number;
  output: OutputColumn[];
  readonly input: readonly { readonly type: number }[];
}

export interface WireTransaction {
  readonly handle: number;
}

type Callback<T> = (error: unknown, result: T) => void;

export interface DriverConnection {
  readonly accept: { readonly protocolVersion: number; readonly pluginName: string; readonly sessionKey?: unknown };
  readonly _socket: { destroy(): void; ref(): void; unref(): void; write(bytes: Buffer): void };
  connect(options: unknown, callback: Callback<unknown>): void;
  attach(options: unknown, callback: Callback<unknown>): void;
  detach(callback: Callback<unknown>): void;
  startTransaction(options: unknown, callback: Callback<WireTransaction>): void;
  commit(t: WireTransaction, callback: Callback<unknown>): void;
  rollback(t: WireTransaction, callback: Callback<unknown>): void;
  prepare(t: WireTransaction, sql: string, plan: boolean, callback: Callback<WireStatement>): void;
  sendExecute(
    op: number,
    s: WireStatement,
    t: WireTransaction,
    callback: Callback<{ readonly data?: readonly unknown[][] } | undefined>,
    parameters: readonly WireParameter[],
  ): void;
  fetch(
    s: WireStatement,
    t: WireTransaction,
    count: number,
    callback: Callback<{ readonly data: unknown[][]; readonly fetched: boolean }>,
  ): void;
  dropStatement(s: WireStatement, callback: Callback<unknown>): void;
  openBlob(q: Quad, t: WireTransaction, callback: Callback<{ readonly handle: number }>): void;
  getSegment(
    blob: { readonly handle: number },
    callback: Callback<{ readonly handle: number; readonly buffer?: Buffer }>,
  ): void;
  createBlob2(t: WireTransaction, callback: Callback<{ readonly handle: number; readonly oid: Quad }>): void;
  batchSegments(blob: { readonly handle: number }, bytes: Buffer, callback: Callback<unknown>): void;
  closeBlob(blob: { readonly handle: number }, callback: Callback<unknown>, defer: boolean): void;
  cancelOperation(kind: number): void;
}

const require = createRequire(import.meta.url);

interface Utils {
  lookupMessages(status: readonly StatusItem[]): string;
}
export interface StatusItem {
  readonly gdscode: number;
  readonly params?: readonly unknown[];
}

/**
 * The server's part of an SRP login is `length, salt, length, key`. The driver looks for the key where it is after a
 * salt of 64 digits; one user in sixteen has a shorter one (leading zeros are left out) and could never log in. Moves
 * the key to where the driver looks; any other bytes are returned as they are.
 */
export const mendedLogin = (bytes: Buffer | undefined): Buffer | undefined => {
  if (bytes === undefined || bytes.length < 8) return bytes;
  const salt = bytes.readUInt16LE(0);
  if (salt < 16 || salt > 64 || bytes.length < salt + 6) return bytes;
  const key = bytes.readUInt16LE(salt + 2);
  if (bytes.length !== salt + 4 + key) return bytes;
  const looked = (salt + 5) & ~3;
  if (looked === salt + 4) return bytes;
  const isHex = (from: number, to: number): boolean => /^[0-9a-f]+$/i.test(bytes.toString('latin1', from, to));
  if (!isHex(2, salt + 2) || !isHex(salt + 4, bytes.length)) return bytes;
  const mended = Buffer.alloc(looked + key);
  bytes.copy(mended, 0, 0, salt + 2);
  bytes.copy(mended, looked, salt + 4);
  return mended;
};

let last: { readonly message: string; readonly status: readonly StatusItem[] } | undefined;

/** All codes of the failure that a callback is being told of; the driver passes on only the first. */
export const statusOf = (error: unknown): readonly StatusItem[] =>
  error instanceof Error && last?.message === error.message ? last.status : [];

let made:
  | (new (
      host: string,
      port: number,
      callback: Callback<unknown>,
      options: unknown,
    ) => DriverConnection)
  | undefined;

/** The driver's connection class, loaded when it is first needed and mended once. */
export const driverConnection = (): NonNullable<typeof made> => {
  if (made !== undefined) return made;
  const serialize = require('node-firebird/lib/wire/serialize.js') as {
    BlrReader: new (b: Buffer | undefined) => object;
  };
  const { BlrReader } = serialize;
  serialize.BlrReader = class extends BlrReader {
    constructor(bytes: Buffer | undefined) {
      super(mendedLogin(bytes));
    }
  };
  const utils = require('node-firebird/lib/utils.js') as Utils;
  const { lookupMessages } = utils;
  utils.lookupMessages = (status) => {
    last = { message: lookupMessages(status), status };
    return last.message;
  };
  made = require('node-firebird/lib/wire/connection.js') as NonNullable<typeof made>;
  return made;
};

/** Numbers of the wire protocol. */
export const wire = {
  op_execute: 63,
  op_execute2: 76,
  cancel_raise: 3,
  statement_exec_procedure: 8,
  statement_select: 1,
  statement_select_for_update: 12,
  tpb_concurrency: 2,
  tpb_read_committed: 15,
  tpb_rec_version: 17,
  blr_text: 14,
  blr_double: 27,
  blr_quad: 9,
  sql: {
    text: 452,
    varying: 448,
    short: 500,
    long: 496,
    float: 482,
    double: 480,
    timestamp: 510,
    blob: 520,
    array: 540,
    quad: 550,
    time: 560,
    date: 570,
    int64: 580,
    int128: 32752,
    timestampTz: 32754,
    timestampTzEx: 32748,
    boolean: 32764,
    null: 32766,
  },
} as const;
