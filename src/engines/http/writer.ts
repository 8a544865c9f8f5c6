import { createHash } from 'node:crypto';
import type { Change } from '../../model/change.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Cell, Row } from '../../model/row.ts';
import { sameRow } from '../../model/same-row.ts';
import { type TableName, tableLabel } from '../../model/schema.ts';
import { nativeSelection } from '../../model/selection.ts';
import type { Applied, StepMark, TableChanges, Writer, Written } from '../../model/writer.ts';
import { bodyFor, columnsOf } from './body.ts';
import type { Reading } from './enumerate.ts';
import { addressOf, type Found, findInList, lookUp, type Named } from './items.ts';
import { isObject, parseJson } from './json.ts';
import type { LastLists } from './last-lists.ts';
import type { MachineLock } from './lock.ts';
import { valueAt } from './pointer.ts';
import { refusedReply, wordsOf } from './replies.ts';
import type { HttpColumn, ItemRoute } from './resource.ts';
import { rowMaker } from './rows.ts';
import type { Shape } from './shape.ts';
import type { Reply } from './transport.ts';
import { cellOf } from './values.ts';

export interface WriterContext extends Reading {
  readonly lock: MachineLock;
  readonly last: LastLists;
  shape(name: TableName, o: { readonly signal: AbortSignal }): Promise<Shape>;
}

/** An API may show what was written a moment later: it is asked again so often. */
const lookAgain = 4;
const lookAgainMs = 100;

/** An API that fails by itself (status 500) and leaves the item as it was is asked so often in all. */
const failuresMost = 3;
const failurePauseMs = 250;

/** One change on its way, and all that is known of its resource. */
interface Step {
  readonly batch: TableChanges;
  readonly change: Change;
  readonly shape: Shape;
  readonly route: ItemRoute;
  /** Of a native row. */
  readonly columns: readonly HttpColumn[];
  readonly key: Named;
  rowOf(found: Found): Row;
  readonly signal: AbortSignal;
}

type Outcome = Exclude<Applied, { status: 'done' | 'already' }>;

const named = (columns: readonly HttpColumn[], row: Row): Map<string, Cell> =>
  new Map(columns.map((c, i) => [c.name, row[i] ?? null]));

/** A strong entity tag: only such one may stand in If-Match (RFC 9110, section 13.1.1). */
const strong = (etag: string | undefined): string | undefined => (etag?.startsWith('"') ? etag : undefined);

/**
 * Writes one item per step: an API has no transactions. Each is read first, past every cache, and written only if it
 * still is what was planned; where the API shows a strong ETag, the API itself refuses a write over a later version.
 */
export const openWriter = (x: WriterContext): Writer => {
  const { side } = x.client;
  /** Steps that were refused: another try of one is another request. */
  const refusals = new Map<string, number>();

  const only = async (
    batches: Iterable<TableChanges> | AsyncIterable<TableChanges>,
  ): Promise<{ readonly batch: TableChanges; readonly change: Change } | undefined> => {
    let first: { readonly batch: TableChanges; readonly change: Change } | undefined;
    for await (const batch of batches)
      for (const change of batch.changes) {
        if (first !== undefined)
          throw new LockstepError(
            'CONFIG',
            `${side}: an API writes one item at a time, so several cannot be written all or nothing. Nothing was written.`,
            {
              side,
              hint: 'Leave out `apply: { atomic: run }` (or `--atomic run`) for a target that is an API.',
            },
          );
        first = { batch, change };
      }
    return first;
  };

  const oneOf = (step: Step, found: readonly Found[]): Found | undefined => {
    if (found.length > 1)
      throw new LockstepError(
        'DATABASE',
        `${side}: ${found.length} items of ${step.shape.table.name} have the key of one row. Nothing was written.`,
        {
          side,
          hint: 'The key of the pair must name one item: choose another.',
        },
      );
    return found[0];
  };

  const look = async (step: Step, known: Named): Promise<Found | undefined> => {
    const found = await lookUp(x, step.shape, known, step.key, step);
    return oneOf(step, found === 'unknown' ? await findInList(x, step.shape, step.key, step) : found);
  };

  const stale = (step: Step, found: Found | undefined): Outcome => ({
    status: 'stale',
    rows: [{ change: step.change, table: step.batch.table, found: found === undefined ? null : step.rowOf(found) }],
  });

  const rejected = (step: Step, reason: string): Outcome => ({
    status: 'rejected',
    table: step.batch.table,
    change: step.change,
    reason,
  });

  const send = (
    step: Step,
    mark: StepMark,
    target: string,
    body: string | undefined,
    etag: string | undefined,
  ): Promise<Reply> => {
    const { resource } = step.shape;
    const { change, route } = step;
    const name = JSON.stringify([mark.run, mark.step, tableLabel(step.batch.table), change.op, change.key]);
    const times = refusals.get(name) ?? 0;
    const id = createHash('sha256').update(`${name} ${times}`).digest('hex').slice(0, 32);
    return x.client.write({
      method: route.method,
      target,
      headers: {
        ...(resource.idempotencyHeader === undefined ? {} : { [resource.idempotencyHeader.toLowerCase()]: id }),
        ...(etag === undefined || !resource.ifMatch ? {} : { 'if-match': etag }),
        // A PUT makes an item or replaces it: it must make one.
        ...(change.op === 'insert' && route.method === 'PUT' ? { 'if-none-match': '*' } : {}),
      },
      ...(body === undefined ? {} : { body }),
      signal: step.signal,
    });
  };

  /** What an answer means that is not a success; undefined: the API failed and did nothing, and is asked once more. */
  const judged = async (step: Step, mark: StepMark, reply: Reply, last: boolean): Promise<Outcome | undefined> => {
    const { change, route } = step;
    const what = `${route.method} ${route.path.text}`;
    if (reply.status === 401) throw refusedReply(side, what, reply);
    if (reply.status === 429)
      throw new LockstepError('CONTENTION', `${side}: ${what} answered ${wordsOf(reply)}`, {
        side,
        hint: 'Lower `http.requests_per_second`.',
      });
    if (reply.status === 428)
      throw new LockstepError('CONFIG', `${side}: ${what} answered ${wordsOf(reply)}`, {
        side,
        hint: 'The API wants If-Match, and shows no strong ETag with its item: check `read` of the resource.',
      });
    const again = await look(step, change.op === 'insert' ? step.key : named(step.columns, change.before));
    const moved = !sameRow(again === undefined ? null : step.rowOf(again), change.before);
    if (moved || reply.status === 412) return stale(step, again);
    if (reply.status === 500) return last ? rejected(step, `${wordsOf(reply)} (the item is as it was)`) : undefined;
    const name = JSON.stringify([mark.run, mark.step, tableLabel(step.batch.table), change.op, change.key]);
    refusals.set(name, (refusals.get(name) ?? 0) + 1);
    return rejected(step, wordsOf(reply));
  };

  /** What is known of a new item from the answer to its creation: the API may have given it its own key. */
  const created = async (step: Step, target: string, reply: Reply): Promise<Found | undefined> => {
    let body: ReturnType<typeof parseJson> | undefined;
    try {
      body = parseJson(reply.body.toString('utf8'));
    } catch {}
    const item = valueAt(body, step.route.item);
    if (isObject(item)) return { item };
    const { location } = reply.headers;
    if (location === undefined) return undefined;
    const answer = await x.client.read(x.client.locate(location, x.client.locate(target)), {
      signal: step.signal,
      mayMiss: 'item',
    });
    const found = answer === undefined ? undefined : valueAt(answer.body, step.shape.resource.read?.item ?? []);
    return isObject(found) ? { item: found } : undefined;
  };

  /** The row as it is stored now, past every cache; asked again while the write does not show yet. */
  const readBack = async (step: Step, target: string, reply: Reply): Promise<Row | null> => {
    const { change, columns, shape } = step;
    const made = change.op === 'insert' ? await created(step, target, reply) : undefined;
    const known = new Map([
      ...(change.op === 'insert' ? [] : named(columns, change.after ?? change.before)),
      ...(made === undefined
        ? []
        : shape.columns.map((c) => [c.name, cellOf(c, valueAt(made.item, c.field))] as const)),
      ...step.key,
    ]);
    for (let tries = 1; ; tries++) {
      const found = await look(step, known);
      const row = found === undefined ? null : step.rowOf(found);
      const shows =
        change.op === 'delete'
          ? row === null
          : row !== null && (change.op === 'insert' || change.columns.some((i) => row[i] !== change.before[i]));
      if (shows || (tries === lookAgain && change.op !== 'insert')) return row;
      if (tries === lookAgain)
        throw new LockstepError(
          'DATABASE',
          `${side}: the API accepted a new item of ${shape.table.name} (${reply.status}) and does not show it`,
          {
            side,
            hint: 'Check `create` and `read` of the resource. The same plan goes on with this item when it is applied again.',
          },
        );
      await x.clock.sleep(lookAgainMs * 2 ** tries, step.signal);
    }
  };

  const stepOf = async (batch: TableChanges, change: Change, signal: AbortSignal): Promise<Step | Outcome> => {
    const shape = await x.shape(batch.table, { signal });
    const selection = nativeSelection(batch.table, batch.key);
    const what = { insert: 'create', update: 'update', delete: 'remove' } as const;
    const route = shape.resource[what[change.op]];
    if (route === undefined)
      return {
        status: 'rejected',
        table: batch.table,
        change,
        reason: `the API declares no \`${change.op === 'delete' ? 'delete' : what[change.op]}\` for ${shape.table.name}`,
      };
    const make = rowMaker(shape, selection.columns, side);
    return {
      batch,
      change,
      shape,
      route,
      columns: columnsOf(shape, selection.columns),
      key: new Map(batch.key.map((name, i) => [name, change.key[i]!])),
      rowOf: ({ item }) => make(item),
      signal,
    };
  };

  return {
    maxBatch: 1,
    prepare: async ({ signal }) => {
      signal.throwIfAborted();
      return 'state';
    },
    lock: async (holder, { signal }) => {
      signal.throwIfAborted();
      return x.lock.take(holder.run, holder.pair);
    },
    applied: async (_, { signal }) => {
      signal.throwIfAborted();
      return false;
    },
    advanceSequences: async () => {},
    apply: async (mark, batches, { signal, written }): Promise<Applied> => {
      signal.throwIfAborted();
      x.lock.check(mark);
      const first = await only(batches);
      if (first === undefined) return { status: 'done' };
      const { batch, change } = first;
      const step = await stepOf(batch, change, signal);
      if ('status' in step) return step;
      const found = await look(step, change.op === 'insert' ? step.key : named(step.columns, change.before));
      if (!sameRow(found === undefined ? null : step.rowOf(found), change.before)) return stale(step, found);
      const row = named(step.columns, change.op === 'insert' ? change.after : change.before);
      const target = addressOf(step.shape, step.route.path, found?.item, row);
      if (target === undefined) return rejected(step, 'its key cannot stand in an address');
      const body = change.op === 'delete' ? undefined : bodyFor(step.route, step.columns, change, found?.item);
      if (body !== undefined && 'refused' in body) return rejected(step, body.refused);
      signal.throwIfAborted();
      x.last.forget(step.shape.table.name);
      for (let tries = 1; ; tries++) {
        const reply = await send(step, mark, target, body?.text, strong(found?.etag));
        if (reply.status >= 200 && reply.status <= 299) {
          const w: Written = { batch, stored: [await readBack(step, target, reply)] };
          await written?.(w);
          return { status: 'done' };
        }
        const outcome = await judged(step, mark, reply, tries === failuresMost);
        if (outcome !== undefined) return outcome;
        await x.clock.sleep(failurePauseMs * 2 ** tries, signal);
      }
    },
  };
};
