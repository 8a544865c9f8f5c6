import type { Principal } from '../access/scopes.ts';
import type { Audit, AuditOutcome } from '../model/audit.ts';
import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import type { Generations } from '../model/generations.ts';
import type { JsonValue } from '../model/json.ts';
import type { RowOutcome, StoredRow } from '../model/rows.ts';
import type { Events } from '../model/service.ts';
import { rowFilterFor } from './caller.ts';
import type { Change, Prepared, Result } from './change.ts';
import { isRefusal, noEffect } from './effect.ts';
import type { Entity } from './entity.ts';
import { changed, counted, guardOf } from './guard.ts';
import { keySegment, noRecord } from './key.ts';
import { RecordProblem } from './problem.ts';
import { besides, etagOf } from './read.ts';
import { refusalOf } from './refusal.ts';
import type { Seal } from './seal.ts';
import { keyNames, type View, viewOf } from './show.ts';
import { allowedAfter, allowedBefore } from './transitions.ts';
import { readNew, readPatch } from './validate.ts';

/** What writing records needs besides the table. */
export interface Desk {
  readonly audit: Pick<Audit, 'append'>;
  readonly events: Pick<Events, 'append'>;
  readonly seal: Seal;
  /** Where answers are kept: before a write, so that none of them outlives it. Absent: none are kept. */
  readonly generations?: Pick<Generations, 'outdate'>;
  now(): number;
  /** What went wrong after the effect, and changes nothing about it. */
  warn(message: string, error: unknown): void;
}

/** Who writes, for the audit and the events. */
export interface Writer {
  readonly principal: Principal;
  readonly correlation: string;
}

const mayNot = (entity: Entity, op: Change['op']): RecordProblem =>
  new RecordProblem('METHOD_NOT_ALLOWED', `records of ${entity.config.name} cannot be ${op}d`, {
    hint:
      entity.table.kind === 'view'
        ? `${entity.config.name} is a view, and a view can only be read.`
        : `The configuration allows it: records.${entity.config.name}.${op}, on a writable endpoint.`,
  });

/** The rows to write; PRIMARY_DOWN while a replica stands in that can only be read. */
export const writableRows = (entity: Entity): NonNullable<Entity['rows']['write']> => {
  const { write } = entity.rows;
  if (write !== undefined) return write;
  throw new LockstepError(
    'PRIMARY_DOWN',
    `${entity.config.endpoint} is down, and what stands in for it can only be read`,
    {
      hint: 'Try again in a moment.',
    },
  );
};

/** Checks a change and says what to write. Throws RecordProblem with every fault. */
export const prepare = (entity: Entity, change: Change, w: Writer, seal: Seal, at = ''): Prepared => {
  if (!entity[change.op]) throw mayNot(entity, change.op);
  const visible = rowFilterFor(entity, w.principal);
  const base = `records/${entity.config.name}`;
  if (change.op === 'create') {
    const written = readNew(entity, w.principal, change.body, visible, at);
    const key = keyNames(entity).map((name) => written.cells[written.columns.indexOf(name)]);
    const known = key.every((cell) => cell !== undefined);
    return {
      op: 'create',
      write: { op: 'insert', columns: written.columns, cells: written.cells },
      object: known ? `${base}/${keySegment(entity, key)}` : base,
      written,
      at,
    };
  }
  const guard = guardOf(entity, seal, change.ifMatch);
  const object = `${base}/${keySegment(entity, change.key)}`;
  if (change.op === 'delete')
    return {
      op: 'delete',
      write: { op: 'delete', key: change.key, guard: { ...guard, visible } },
      object,
      written: undefined,
      at,
    };
  const written = readPatch(entity, w.principal, change.body, at);
  const { columns, cells } = counted(entity, written, guard);
  const allowed = [...guard.allowed, ...allowedBefore(entity, written)];
  return {
    op: 'update',
    write: { op: 'update', key: change.key, columns, cells, guard: { ...guard, visible, allowed } },
    object,
    written,
    at,
  };
};

/** Why a guard did not hold: another has changed the row, or its state does not allow the change. */
const staleOf = (entity: Entity, p: Prepared, found: StoredRow, view: View): Error => {
  const { write } = p;
  if (write.op === 'insert') return changed();
  const { tag, allowed } = write.guard;
  if (tag !== undefined && found.tag !== tag) return changed();
  const version = entity.version?.name;
  for (const condition of allowed) {
    if (condition.column !== version) continue;
    const now = view.cell(found.cells, version);
    if (condition.op === 'eq' ? now !== condition.value : now !== null) return changed();
  }
  const column = p.written?.columns.find((name) => Object.hasOwn(entity.config.transitions, name));
  if (column === undefined) return changed();
  const now = view.cell(found.cells, column);
  const wanted = p.written!.cells[p.written!.columns.indexOf(column)] ?? 'null';
  // what is not shown is not told by a refusal either
  if (!entity.fields.get(column)!.shown)
    return new LockstepError('CONFLICT', `${column} cannot become ${wanted} from what it is now`);
  const next = allowedAfter(entity, column, now);
  return new LockstepError('CONFLICT', `${column} is ${now ?? 'null'}: it cannot become ${wanted}`, {
    hint: next.length === 0 ? `${now ?? 'null'} is a last value.` : `It may become ${next.join(', ')}.`,
  });
};

/** Columns that are read back: what is shown, the key, the version, and what transitions look at. */
export const readBack = (entity: Entity, principal: Principal): View =>
  viewOf(principal, entity.shown, [...besides(entity), ...Object.keys(entity.config.transitions)]);

/** What became of a change, or why it was not made. */
export const resultOf = (entity: Entity, p: Prepared, outcome: RowOutcome, view: View, seal: Seal): Result | Error => {
  const shown = p.write.op === 'insert' ? '' : keySegment(entity, p.write.key);
  switch (outcome.status) {
    case 'done': {
      if (outcome.row === null) return { op: p.op, key: shown };
      const { cells } = outcome.row;
      const key = keySegment(
        entity,
        keyNames(entity).map((name) => view.cell(cells, name)),
      );
      return { op: p.op, key, json: view.json(cells), etag: etagOf(entity, seal, outcome.row, view) };
    }
    case 'missing':
      return noRecord(entity.config.name, shown);
    case 'stale':
      return staleOf(entity, p, outcome.found, view);
    case 'refused':
      return refusalOf(entity, p, outcome);
    case 'undone':
      return new Undone();
  }
};

/** A change that was taken back, or not tried, because another one of its transaction failed. */
export class Undone extends LockstepError {
  constructor() {
    super('CONFLICT', 'another change of the same request failed, and none was made');
  }
}

/** What is written, for the audit: masked columns by name only. */
const audited = (entity: Entity, { written }: Prepared): JsonValue =>
  written === undefined
    ? null
    : Object.fromEntries(
        written.columns.map((name, i) => [
          name,
          entity.fields.get(name)!.unless === undefined ? written.cells[i]! : '(masked)',
        ]),
      );

const entry = (entity: Entity, p: Prepared, w: Writer, outcome: AuditOutcome, object = p.object) => ({
  actor: w.principal.name,
  action: `record.${p.op}`,
  object,
  after: audited(entity, p),
  outcome,
  correlation: w.correlation,
});

/** What did not come about; of a failure its code, and whether it may have come about nevertheless. */
const failure = (entity: Entity, p: Prepared, w: Writer, error: Error) =>
  isRefusal(error)
    ? entry(entity, p, w, 'refused')
    : {
        ...entry(entity, p, w, 'failed'),
        after: {
          error: error instanceof LockstepError ? error.code : 'INTERNAL',
          effect: noEffect(error) ? 'none' : 'unknown',
        },
      };

/** Audited before anything is written: when that fails, nothing is. */
export const intend = (entity: Entity, all: readonly Prepared[], w: Writer, desk: Desk, o: Cancel): Promise<unknown> =>
  desk.audit.append(
    all.map((p) => entry(entity, p, w, 'intended')),
    o,
  );

/** Audits and publishes what came of it. The effect is there: a failure here is told to the log only. */
export const conclude = async (
  entity: Entity,
  all: readonly (readonly [Prepared, Result | Error])[],
  w: Writer,
  desk: Desk,
): Promise<void> => {
  // whoever asked may be gone; what was done is written down nevertheless
  const o: Cancel = { signal: AbortSignal.timeout(30_000) };
  const { name } = entity.config;
  try {
    await desk.audit.append(
      all.map(([p, r]) => {
        if (r instanceof Error) return failure(entity, p, w, r);
        return entry(entity, p, w, 'done', `records/${name}/${r.key}`);
      }),
      o,
    );
  } catch (error) {
    desk.warn('the outcome of a write of records could not be audited', error);
  }
  const done = all.filter((pair): pair is readonly [Prepared, Result] => !(pair[1] instanceof Error));
  if (done.length === 0) return;
  try {
    await desk.events.append(
      done.map(([p, r]) => ({
        at: desk.now(),
        type: `record.${p.op}d`,
        subject: `records/${name}/${r.key}`,
        sync: null,
        correlation: w.correlation,
        data: { entity: name, key: r.key, columns: p.written?.columns ?? [] },
      })),
      o,
    );
  } catch (error) {
    desk.warn('a write of records could not be published', error);
  }
};

/**
 * Writes while nothing is kept of the server's rows. Where it is not known what came of it nothing is kept for longer
 * still: the database may yet carry it out.
 */
export const outdating = async <T>(entity: Entity, desk: Desk, o: Cancel, work: () => Promise<T>): Promise<T> => {
  const ended = await desk.generations?.outdate(entity.server, o);
  const end = (): Promise<void> | undefined =>
    ended?.({ signal: AbortSignal.timeout(10_000) }).catch((error: unknown) =>
      desk.warn('answers of records are not kept for a while', error),
    );
  try {
    const result = await work();
    await end();
    return result;
  } catch (error) {
    if (noEffect(error)) await end();
    throw error;
  }
};

/** Makes one change. Throws what stands in its way. */
export const writeRecord = async (
  entity: Entity,
  change: Change,
  w: Writer,
  desk: Desk,
  o: Cancel,
  at = '',
): Promise<Result> => {
  const p = prepare(entity, change, w, desk.seal, at);
  const view = readBack(entity, w.principal);
  const write = writableRows(entity);
  await intend(entity, [p], w, desk, o);
  let result: Result | Error;
  try {
    const [outcome] = await outdating(entity, desk, o, () =>
      write([p.write], { columns: view.columns, atomic: true }, o),
    );
    result = resultOf(entity, p, outcome!, view, desk.seal);
  } catch (error) {
    await conclude(entity, [[p, error as Error]], w, desk);
    throw error;
  }
  await conclude(entity, [[p, result]], w, desk);
  if (result instanceof Error) throw result;
  return result;
};
