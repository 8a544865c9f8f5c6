import type { Loaded, Loader, LoadOptions } from '../../model/build.ts';
import type { Cancel } from '../../model/cancel.ts';
import { NotInForm } from '../../model/not-in-form.ts';
import type { Batch, Row, Text } from '../../model/row.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import type { StepMark } from '../../model/writer.ts';
import { csvForm, isCsv } from '../sql/csv-form.ts';
import { id, tableId } from '../sql/quote.ts';
import type { Room } from '../sql/room.ts';
import { commitFailure, fenced } from '../sql/step-lock.ts';
import { byteForms, formOption } from './bulk-rows.ts';
import { copyLine } from './copy-in.ts';
import { CopyStream } from './copy-stream.ts';
import { refusalReason } from './failures.ts';
import { setMarker } from './own-tables.ts';
import type { Session, StatementOptions } from './session.ts';

export interface LoaderContext {
  readonly side: string;
  readonly room: Room<Session>;
  readonly lanes: number;
  /** The server's text is UTF-8, so bytes of another server may come in. */
  readonly utf8: boolean;
  prepare(o: Cancel): Promise<'marker' | 'state'>;
}

const stepRows = 200_000;
/** Rows of one COPY: what is sent again, in halves, when one of them is refused. */
const copyRows = 20_000;
const pieceLength = 64 * 1024;

const copySql = (table: Table, columns: readonly string[], form = ''): string =>
  `copy ${tableId(table)} (${columns.map(id).join(', ')}) from stdin${form}`;

/** Rows as pieces of COPY's text. `bytes`: places of the columns whose cells are hex. */
const piecesOf = (rows: Batch<Row>, bytes: readonly number[]): string[] => {
  const pieces: string[] = [];
  let piece = '';
  for (const row of rows) {
    let cells = row;
    if (bytes.length > 0) {
      const changed = [...row];
      for (const i of bytes) if (row[i] !== null) changed[i] = `\\x${row[i]}` as Text;
      cells = changed;
    }
    piece += copyLine(cells);
    if (piece.length >= pieceLength) {
      pieces.push(piece);
      piece = '';
    }
  }
  if (piece !== '') pieces.push(piece);
  return pieces;
};

/** The CSV form that a table's columns are loaded from; undefined where it does not hold all of their types. */
const csvOf = (table: Table, columns: readonly string[]): string | undefined => {
  const found = columns.map((name) => table.columns.find((c) => c.name === name));
  // what is no type of the server's own (a domain, citext) may read a text in its own way
  if (found.some((c) => c === undefined || !plainType.test(c.native))) return undefined;
  return csvForm(found.map((c) => c!.type));
};

const plainType =
  /^(bigint|integer|smallint|boolean|uuid|bytea|date|double precision|text|numeric(\(\d+,-?\d+\))?|character varying(\(\d+\))?|timestamp(\(6\))? without time zone)$/;

/** Bytes as the messages of a COPY. */
async function* asMessages(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  for await (const piece of pieces) {
    const head = Buffer.alloc(5);
    head[0] = 0x64;
    head.writeInt32BE(piece.length + 4, 1);
    yield head;
    yield piece;
  }
}

/** Loads by COPY, steps beside each other. */
export const openLoader = (x: LoaderContext): Loader => {
  /** One step: its marker, `work`, and the commit. */
  const step = async (
    mark: StepMark,
    table: Table,
    o: LoadOptions,
    work: (session: Session, at: StatementOptions) => Promise<Loaded>,
  ): Promise<Loaded> => {
    const mode = await x.prepare(o);
    const at: StatementOptions = {
      signal: o.signal,
      doing: `loading ${tableLabel(table)}`,
      table: tableId(table),
      privilege: 'insert',
    };
    const session = await x.room.lendInTurn(o);
    try {
      await session.begin('write', at);
      if (mode === 'marker') {
        const marked = await setMarker(session, mark, at);
        if (marked === 'already') return { status: 'already' };
        if (marked === 'fenced') throw fenced(x.side, mark);
      }
      const loaded = await work(session, at);
      if (loaded.status !== 'done') return loaded;
      await o.beforeCommit();
      try {
        const { command } = await session.raw('commit', undefined, at);
        if (command !== 'COMMIT') throw new Error(`step ${mark.step} was rolled back at its commit`);
      } catch (error) {
        throw commitFailure(x.side, mark, session.explain(error, at), session.broken, error);
      }
      return loaded;
    } finally {
      await session.rollback();
      await x.room.keep(session);
    }
  };

  const load: Loader['load'] = (mark, table, columns, rows, o) =>
    step(mark, table, o, async (session, at) => {
      const sql = copySql(table, columns);
      const bytes = columns.flatMap((name, i) =>
        table.columns.find((c) => c.name === name)?.type.kind === 'bytes' ? [i] : [],
      );
      /** Halves what the server refuses until it is one row. */
      const copyRowsIn = async (some: Batch<Row>): Promise<number> => {
        await session.query('savepoint lockstep_rows', undefined, at);
        try {
          const taken = await session.copyIn(sql, piecesOf(some, bytes), at);
          await session.query('release savepoint lockstep_rows', undefined, at);
          return taken;
        } catch (error) {
          const refused = refusalReason(error);
          if (refused === undefined) throw session.explain(error, at);
          await session.query('rollback to savepoint lockstep_rows', undefined, at);
          if (some.length === 1) {
            o.refused(some[0]!, refused.reason);
            return 0;
          }
          const half = some.length >> 1;
          return (await copyRowsIn(some.slice(0, half))) + (await copyRowsIn(some.slice(half)));
        }
      };
      let written = 0;
      let sending: Promise<number> = Promise.resolve(0);
      let waiting: Row[] = [];
      for await (const batch of rows) {
        for (const row of batch) waiting.push(row);
        if (waiting.length < copyRows) continue;
        // one COPY is on its way while the rows of the next are gathered
        written += await sending;
        sending = copyRowsIn(waiting);
        sending.catch(() => {});
        waiting = [];
      }
      written += await sending;
      if (waiting.length > 0) written += await copyRowsIn(waiting);
      return { status: 'done', rows: written };
    });

  return {
    stepRows,
    lanes: x.lanes,
    load,
    ...(x.utf8
      ? {
          bytes: {
            forms: async (table, columns, o) => {
              const at: StatementOptions = { signal: o.signal, doing: `reading the types of ${tableLabel(table)}` };
              const session = await x.room.lendInTurn(o);
              try {
                await session.begin('read', at);
                const csv = csvOf(table, columns);
                return [...(await byteForms(session, table, columns, at)), ...(csv === undefined ? [] : [csv])];
              } finally {
                await session.rollback();
                await x.room.keep(session);
              }
            },
            load: (mark, table, columns, { form, bytes }, o) =>
              step(mark, table, o, async (session, at) => {
                try {
                  return {
                    status: 'done',
                    rows: await session.copyStream(
                      new CopyStream(copySql(table, columns, formOption(form))),
                      isCsv(form) ? asMessages(bytes) : bytes,
                      at,
                    ),
                  };
                } catch (error) {
                  if (error instanceof NotInForm) return { status: 'refused', reason: error.message };
                  const refused = refusalReason(error);
                  if (refused !== undefined) return { status: 'refused', reason: refused.reason };
                  throw session.explain(error, at);
                }
              }),
          },
        }
      : {}),
  };
};
