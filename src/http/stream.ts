import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Cell } from '../model/row.ts';
import { csvLine } from '../work/csv-line.ts';

/** Forms of lists that can be read whole. */
export const forms = ['application/json', 'application/x-ndjson', 'text/csv'] as const;
export type Form = (typeof forms)[number];

/** How long an export may take, milliseconds. */
export const exportMs = 3_600_000;

const lines = async function* (items: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const item of items) yield `${JSON.stringify(item)}\n`;
};

const table = async function* <T>(
  items: AsyncIterable<T>,
  columns: readonly string[],
  rows: (item: T) => readonly (readonly (string | null)[])[],
): AsyncGenerator<string> {
  yield csvLine(columns as readonly string[] as readonly Cell[]);
  for await (const item of items)
    yield rows(item)
      .map((cells) => csvLine(cells as readonly Cell[]))
      .join('');
};

/**
 * Sends all items, one line each, as fast as the client reads. Where it fails half-way the connection is broken, so that
 * a part is not taken for the whole.
 */
export const sendAll = <T>(
  reply: FastifyReply,
  form: Exclude<Form, 'application/json'>,
  items: AsyncIterable<T>,
  csv: { readonly columns: readonly string[]; rows(item: T): readonly (readonly (string | null)[])[] },
): FastifyReply =>
  reply.type(`${form}; charset=utf-8`).send(
    Readable.from(form === 'text/csv' ? table(items, csv.columns, (item) => csv.rows(item)) : lines(items), {
      highWaterMark: 16,
    }),
  );
