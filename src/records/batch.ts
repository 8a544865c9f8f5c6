import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { Key } from '../model/row.ts';
import type { Change, Prepared, Result } from './change.ts';
import type { Entity } from './entity.ts';
import { readJson } from './json.ts';
import { type Fault, faulty, RecordProblem } from './problem.ts';
import {
  conclude,
  type Desk,
  intend,
  outdating,
  prepare,
  readBack,
  resultOf,
  Undone,
  type Writer,
  writableRows,
  writeRecord,
} from './write.ts';

export const mostItems = 500;

export interface Batch {
  readonly atomic: boolean;
  readonly items: readonly unknown[];
}

const members = new Set(['op', 'key', 'if_match', 'body']);

/** `17`, or `[17, 2]` for two columns, as in JSON. */
const keyOf = (entity: Entity, value: unknown): Key | undefined => {
  const parts = entity.key.length === 1 && !Array.isArray(value) ? [value] : value;
  if (!Array.isArray(parts) || parts.length !== entity.key.length) return undefined;
  const cells = entity.key.map((field, i) => {
    const read = readJson(field.column, parts[i]);
    return read.ok ? read.cell : null;
  });
  return cells.includes(null) ? undefined : cells;
};

/** One item as a change; throws RecordProblem with what is wrong in it. */
const changeOf = (entity: Entity, item: unknown, at: string): Change => {
  if (typeof item !== 'object' || item === null || Array.isArray(item))
    throw faulty('BODY', [{ pointer: at, detail: 'expected { op, key, if_match, body }' }]);
  const { op, key, if_match: ifMatch, body } = item as Readonly<Record<string, unknown>>;
  const faults: Fault[] = [];
  const wrong = (member: string, detail: string): void => void faults.push({ pointer: `${at}/${member}`, detail });
  for (const name of Object.keys(item)) if (!members.has(name)) wrong(name, 'is no member of an item');
  if (op !== 'create' && op !== 'update' && op !== 'delete') {
    wrong('op', 'expected create, update or delete');
    throw faulty('BODY', faults);
  }
  if (op === 'create') {
    if (key !== undefined) wrong('key', 'belongs into the body');
    if (faults.length > 0) throw faulty('BODY', faults);
    return { op, body };
  }
  const cells = keyOf(entity, key);
  if (cells === undefined) wrong('key', 'expected the key of a record; of several columns a list');
  if (op === 'delete' && body !== undefined) wrong('body', 'a delete has none');
  if (faults.length > 0) throw faulty('BODY', faults);
  if (typeof ifMatch !== 'string' || !/^".*"$/.test(ifMatch))
    throw new RecordProblem('PRECONDITION_REQUIRED', 'an update or delete needs the ETag of what you have seen', {
      errors: [{ pointer: `${at}/if_match`, detail: 'expected the ETag of the record, in its quotes' }],
    });
  return op === 'update' ? { op, key: cells!, body, ifMatch: [ifMatch] } : { op, key: cells!, ifMatch: [ifMatch] };
};

/** The body of a batch; BODY when it is none. */
export const readBatch = (body: unknown): Batch => {
  const given = body as { readonly atomic?: unknown; readonly items?: unknown } | null;
  const odd =
    typeof body === 'object' && body !== null
      ? Object.keys(body).find((k) => k !== 'atomic' && k !== 'items')
      : undefined;
  if (odd !== undefined) throw faulty('BODY', [{ pointer: `/${odd}`, detail: 'is no member of a batch' }]);
  if (!Array.isArray(given?.items) || given.items.length === 0 || given.items.length > mostItems)
    throw faulty('BODY', [{ pointer: '/items', detail: `expected a list of 1 to ${mostItems} items` }]);
  if (given.atomic !== undefined && typeof given.atomic !== 'boolean')
    throw faulty('BODY', [{ pointer: '/atomic', detail: 'expected true or false' }]);
  return { atomic: given.atomic ?? false, items: given.items };
};

/** Does it make records? Then a repeat would make them twice. */
export const creates = ({ items }: Batch): boolean =>
  items.some((item) => typeof item === 'object' && item !== null && (item as { op?: unknown }).op === 'create');

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** Failures of the connection and the like end a batch; what is wrong with one item does not. */
const ofItem = (error: unknown): boolean =>
  error instanceof RecordProblem ||
  (error instanceof LockstepError && ['NOT_FOUND', 'CONFLICT', 'FORBIDDEN'].includes(error.code));

/** Items one by one: each has its own outcome, in order. */
const eachAlone = async (
  entity: Entity,
  batch: Batch,
  w: Writer,
  desk: Desk,
  o: Cancel,
): Promise<readonly (Result | Error)[]> => {
  const results: (Result | Error)[] = [];
  let ended: Error | undefined;
  for (const [i, item] of batch.items.entries()) {
    if (ended !== undefined) {
      results.push(ended);
      continue;
    }
    try {
      results.push(await writeRecord(entity, changeOf(entity, item, `/items/${i}`), w, desk, o, `/items/${i}/body`));
    } catch (error) {
      results.push(asError(error));
      if (!ofItem(error)) ended = asError(error);
    }
  }
  return results;
};

/** All of them in one transaction, or none: throws what stands in the way of the first that cannot be done. */
const allTogether = async (
  entity: Entity,
  batch: Batch,
  w: Writer,
  desk: Desk,
  o: Cancel,
): Promise<readonly Result[]> => {
  const all: Prepared[] = [];
  const faults: Fault[] = [];
  for (const [i, item] of batch.items.entries()) {
    try {
      all.push(prepare(entity, changeOf(entity, item, `/items/${i}`), w, desk.seal, `/items/${i}/body`));
    } catch (error) {
      if (!(error instanceof RecordProblem) || error.code !== 'BODY') throw error;
      faults.push(...error.errors);
    }
  }
  if (faults.length > 0) throw faulty('BODY', faults.slice(0, 100));
  const view = readBack(entity, w.principal);
  const write = writableRows(entity);
  await intend(entity, all, w, desk, o);
  let results: readonly (Result | Error)[];
  try {
    const outcomes = await outdating(entity, desk, o, () =>
      write(
        all.map((p) => p.write),
        { columns: view.columns, atomic: true },
        o,
      ),
    );
    results = outcomes.map((outcome, i) => resultOf(entity, all[i]!, outcome, view, desk.seal));
  } catch (error) {
    await conclude(
      entity,
      all.map((p) => [p, asError(error)]),
      w,
      desk,
    );
    throw error;
  }
  await conclude(
    entity,
    all.map((p, i) => [p, results[i]!]),
    w,
    desk,
  );
  const failed = results.findIndex((r) => r instanceof Error && !(r instanceof Undone));
  if (failed >= 0) throw atItem(results[failed] as Error, failed);
  return results as readonly Result[];
};

const atItem = (error: Error, i: number): Error => {
  if (error instanceof RecordProblem)
    return new RecordProblem(error.code, `item ${i}: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      errors: error.errors.length > 0 ? error.errors : [{ pointer: `/items/${i}`, detail: error.message }],
    });
  if (error instanceof LockstepError)
    return new LockstepError(error.code, `item ${i}: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  return error;
};

/** Carries out a batch: of an atomic one all results, of another one what became of each item. */
export const writeBatch = (
  entity: Entity,
  batch: Batch,
  w: Writer,
  desk: Desk,
  o: Cancel,
): Promise<readonly (Result | Error)[]> =>
  batch.atomic ? allTogether(entity, batch, w, desk, o) : eachAlone(entity, batch, w, desk, o);
