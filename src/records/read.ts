import type { Principal } from '../access/scopes.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Cell, Key, Row } from '../model/row.ts';
import type { RowCondition, StoredRow } from '../model/rows.ts';
import { rowFilterFor } from './caller.ts';
import type { Entity, Field } from './entity.ts';
import { keySegment, noRecord } from './key.ts';
import { RecordProblem } from './problem.ts';
import { type ListQuery, type Parameters, readList } from './query.ts';
import type { Seal } from './seal.ts';
import { keyNames, type View, viewOf } from './show.ts';

/** A page as JSON text, with what its headers need. */
export interface Page {
  readonly json: string;
  readonly next: string | undefined;
}

/** The ETag of a row: of its content, sealed, or its version. */
export const etagOf = (entity: Entity, seal: Seal, row: StoredRow, view: View): string =>
  entity.version === undefined
    ? `"${seal.tag(row.tag)}"`
    : `"${encodeURIComponent(view.cell(row.cells, entity.version.name) ?? 'null')}"`;

/** Columns that are read besides what is shown, so that a row has its key and its ETag. */
export const besides = (entity: Entity): readonly string[] => [
  ...keyNames(entity),
  ...(entity.version === undefined ? [] : [entity.version.name]),
];

/** Conditions all hold, in whatever order they are given. */
const sorted = (where: readonly RowCondition[]): readonly string[] => where.map((w) => JSON.stringify(w)).sort();

/** What a cursor is good for: this list, in this order (`rest`: of the key behind it), for this caller's rows. */
const aboutOf = (entity: Entity, q: ListQuery, rest: readonly string[], filter: readonly RowCondition[]): string =>
  JSON.stringify([entity.config.name, q.order, rest, sorted(q.where), filter]);

const afterOf = (seal: Seal, sealed: string, about: string): readonly Cell[] => {
  const content = seal.openCursor(sealed, about);
  if (content !== undefined) return JSON.parse(content) as Cell[];
  throw new RecordProblem('CURSOR', 'this cursor is of another list, another order or another caller, or none at all', {
    hint: 'Begin again without it; a cursor goes with the filters and the sort that it came with.',
  });
};

/** One page of records. `count`: how many there are in all, exactly or about. */
export const listRecords = (
  entity: Entity,
  principal: Principal,
  parameters: Parameters,
  x: {
    readonly seal: Seal;
    readonly count: 'exact' | 'estimated' | undefined;
    readonly fixed?: readonly RowCondition[];
  },
  o: Cancel,
): Promise<Page> => {
  const q = readList(entity, principal, parameters, x.fixed);
  const filter = rowFilterFor(entity, principal);
  const key = keyNames(entity);
  const rest = key.filter((name) => !q.order.some((by) => by.column === name));
  const ordering = [...q.order.map((by) => by.column), ...rest];
  const view = viewOf(principal, q.fields, ordering);
  const where = [...filter, ...q.where];
  const about = aboutOf(entity, q, rest, filter);
  const after = q.cursor === undefined ? undefined : afterOf(x.seal, q.cursor, about);
  // an estimate is made of all rows, also of those that are not for this caller
  const how = x.count === 'estimated' && filter.length > 0 ? 'exact' : x.count;
  const counting = how === undefined ? undefined : entity.rows.count(where, how, o);
  counting?.catch(() => {});
  const reading = entity.rows.list(
    { columns: view.columns, where, order: q.order, limit: q.limit + 1, ...(after === undefined ? {} : { after }) },
    o,
  );
  const page = (rows: readonly Row[], total: string): Page => {
    const more = rows.length > q.limit;
    let data = '';
    for (let i = 0; i < Math.min(rows.length, q.limit); i++) data += `${i > 0 ? ',' : ''}${view.json(rows[i]!)}`;
    const last = rows[q.limit - 1];
    const next =
      more && last !== undefined
        ? x.seal.cursor(JSON.stringify(ordering.map((name) => view.cell(last, name))), about)
        : undefined;
    return {
      json: `{"data":[${data}],"page":{"next_cursor":${next === undefined ? 'null' : `"${next}"`},"has_more":${more}${total}}}`,
      next,
    };
  };
  if (counting === undefined) return reading.then((rows) => page(rows, ''));
  return reading.then(async (rows) => page(rows, `,"count":${await counting},"count_is":"${how}"`));
};

/** One record as JSON, with its ETag. NOT_FOUND also for what the caller's row filter hides. */
export const readRecord = (
  entity: Entity,
  principal: Principal,
  key: Key,
  fields: readonly Field[],
  seal: Seal,
  o: Cancel,
): Promise<{ readonly json: string; readonly etag: string }> => {
  const view = viewOf(principal, fields, besides(entity));
  return entity.rows.get(key, { columns: view.columns, where: rowFilterFor(entity, principal) }, o).then((row) => {
    if (row === undefined) throw noRecord(entity.config.name, keySegment(entity, key));
    return { json: view.json(row.cells), etag: etagOf(entity, seal, row, view) };
  });
};
