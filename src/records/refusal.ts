import { LockstepError } from '../model/errors.ts';
import type { RowOutcome } from '../model/rows.ts';
import type { Prepared } from './change.ts';
import type { Entity } from './entity.ts';
import { type Fault, faulty, pointer, RecordProblem } from './problem.ts';

type Refused = Extract<RowOutcome, { status: 'refused' }>;

/** Columns that a constraint is about, of those that a caller may know of. */
const columnsOf = (entity: Entity, r: Refused): readonly string[] => {
  const { table } = entity;
  const found =
    r.column !== undefined
      ? [r.column]
      : (table.uniques.find((u) => u.name === r.constraint)?.columns ??
        table.foreignKeys.find((k) => k.name === r.constraint)?.columns ??
        []);
  return found.filter((name) => {
    const field = entity.fields.get(name);
    return field?.shown === true && field.unless === undefined;
  });
};

const named = (r: Refused): string => (r.constraint === undefined ? '' : ` (${r.constraint})`);

/** A database's refusal as the answer of the API: nothing in it but names that are known, and a trigger's own words. */
export const refusalOf = (entity: Entity, p: Prepared, r: Refused): Error => {
  const columns = columnsOf(entity, r);
  const at = (detail: string): readonly Fault[] =>
    columns.length === 0
      ? [{ pointer: p.at, detail }]
      : columns.map((name) => ({ pointer: `${p.at}${pointer(name)}`, detail }));
  const listed = columns.join(', ');
  switch (r.kind) {
    case 'unique':
      return new LockstepError('CONFLICT', `there is a record with the same ${listed || 'value'} already${named(r)}`, {
        hint: 'Change that one, or choose another value.',
      });
    case 'referenced':
      return new LockstepError('CONFLICT', `other rows refer to this record${named(r)}`, {
        hint: 'Change or delete those first.',
      });
    case 'foreign_key':
      return faulty('BODY', at(`refers to nothing that is there${named(r)}`));
    case 'check':
      return faulty('BODY', at(`is refused by a rule of the table${named(r)}`));
    case 'not_null':
      return faulty('BODY', at('must not be null'));
    case 'value':
      return faulty('BODY', at('is refused by the type of its column'));
    case 'other':
      return new RecordProblem('BODY', `the database refuses it${r.words === undefined ? '' : `: ${r.words}`}`, {
        errors: at(r.words ?? 'is refused'),
      });
  }
};
