import type { Cancel } from '../model/cancel.ts';
import { rowFilterFor } from './caller.ts';
import type { Result } from './change.ts';
import type { Entity } from './entity.ts';
import { keySegment } from './key.ts';
import { besides, etagOf } from './read.ts';
import { keyNames, viewOf } from './show.ts';
import { type Desk, prepare, type Writer } from './write.ts';

/**
 * Of a create that was cut short: the record under the key that it named, if every cell that it was to write is there
 * as written. Undefined: nobody can tell. Another row may have had the key before, and a record that is not there may
 * have been made and deleted since.
 */
export const madeRecord = async (
  entity: Entity,
  w: Writer,
  desk: Desk,
  body: unknown,
  o: Cancel,
): Promise<Result | undefined> => {
  const { written } = prepare(entity, { op: 'create', body }, w, desk.seal);
  const { columns, cells } = written!;
  const key = keyNames(entity).map((name) => cells[columns.indexOf(name)] ?? null);
  if (key.includes(null)) return undefined;
  const view = viewOf(w.principal, entity.shown, [...besides(entity), ...columns]);
  const row = await entity.rows.get(key, { columns: view.columns, where: rowFilterFor(entity, w.principal) }, o);
  if (row === undefined || columns.some((name, i) => view.cell(row.cells, name) !== cells[i])) return undefined;
  const json = view.json(row.cells);
  return { op: 'create', key: keySegment(entity, key), json, etag: etagOf(entity, desk.seal, row, view) };
};
