import { readText } from '../model/canon/canonical.ts';
import { intFits } from '../model/canon/int.ts';
import type { Cell, Text } from '../model/row.ts';
import type { RowGuard } from '../model/rows.ts';
import type { Entity, Field } from './entity.ts';
import { RecordProblem } from './problem.ts';
import type { Seal } from './seal.ts';
import type { Written } from './validate.ts';

/** Another has changed the row, or the ETag never was one of its. */
export const changed = (): RecordProblem =>
  new RecordProblem('PRECONDITION_FAILED', 'the record has changed since you read it', {
    hint: 'Read it again, and repeat your change on what it is now.',
  });

/** What was sent is not written as an ETag of a record is. */
const noTag = (): RecordProblem =>
  new RecordProblem('PRECONDITION_FAILED', 'what was sent is no strong ETag of this record', {
    hint: 'Read it again, and send its ETag as it came: in its quotes, without W/.',
  });

/** The version that an ETag of a version column names; undefined: no row can have it. */
const versionOf = ({ column }: Field, tag: string): Text | undefined => {
  let text: string;
  try {
    text = decodeURIComponent(tag);
  } catch {
    return undefined;
  }
  const { type } = column;
  if (text === 'null') return text as Text;
  // a whole number is counted up: nothing but its own digits is one
  const known = type.kind === 'int' ? readText(type, text) === text && intFits(text, type.bits) : readText(type, text);
  return known === undefined || known === false ? undefined : (text as Text);
};

/** Conditions under which the row still is the one with this ETag. */
export const guardOf = (entity: Entity, seal: Seal, ifMatch: readonly string[]): Pick<RowGuard, 'tag' | 'allowed'> => {
  // of several tags one can hold only; the last is as good as any when each has been seen by the caller
  const [tag] = ifMatch.map((t) => t.slice(1, -1));
  if (tag === undefined) throw noTag();
  if (entity.version === undefined) {
    const opened = seal.openTag(tag);
    if (opened === undefined) throw changed();
    return { tag: opened, allowed: [] };
  }
  const column = entity.version.name;
  const cell = versionOf(entity.version, tag);
  if (cell === undefined) throw changed();
  if (cell === 'null') return { allowed: [{ column, op: 'null', is: true }] };
  return { allowed: [{ column, op: 'eq', value: cell }] };
};

/** A version that is a whole number is counted up with each change. */
export const counted = (entity: Entity, written: Written, guard: Pick<RowGuard, 'allowed'>): Written => {
  if (entity.version?.column.type.kind !== 'int') return written;
  const [now] = guard.allowed;
  const next = now?.op === 'eq' ? String(BigInt(now.value) + 1n) : '1';
  return {
    columns: [...written.columns, entity.version.name],
    cells: [...written.cells, next as NonNullable<Cell>],
  };
};
