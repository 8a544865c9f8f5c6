import type { Cancel } from '../model/cancel.ts';
import { LockstepError } from '../model/errors.ts';
import { tableLabel } from '../model/schema.ts';
import type { CopySides, PlannedTable } from './copy-plan.ts';

const withoutCollation = (native: string): string => native.replace(/ collate (?:"(?:[^"]|"")*"|\S+)$/, '');

/**
 * Types of the user's own (composite, range, of an extension, lists of labels) that tables to be made need and the target
 * has not: told before anything is made. Enums are made with their tables.
 */
export const refuseUnknownTypes = async (
  { target }: CopySides,
  tables: readonly PlannedTable[],
  o: Cancel,
): Promise<void> => {
  const made = tables.filter((t) => t.existing === undefined);
  const columns = made.flatMap((t) =>
    t.definition.columns.flatMap((c) =>
      c.native === undefined || c.type.kind !== 'opaque' || c.expression !== undefined
        ? []
        : [{ name: `${tableLabel(t.source)}.${c.name}`, native: withoutCollation(c.native) }],
    ),
  );
  if (columns.length === 0) return;
  // an enum that is made with one of the tables is there for all of them
  const labels = new Set(
    made.flatMap((t) =>
      t.definition.columns.flatMap((c) => (c.type.kind === 'enum' && c.native !== undefined ? [c.native] : [])),
    ),
  );
  const natives = [...new Set(columns.map((c) => c.native))];
  const unknown = new Set(await target.builder.unknownTypes?.(natives, o));
  const lacking = columns.filter((c) => unknown.has(c.native) && !labels.has(c.native.replace(/(\[\])+$/, '')));
  const [first] = lacking;
  if (first === undefined) return;
  throw new LockstepError(
    'SCHEMA_DRIFT',
    `${target.name} has no type ${first.native}, which ${first.name} is of${lacking.length > 1 ? `, and ${lacking.length - 1} more` : ''}. Nothing was written.`,
    {
      hint: `Make the type there first (pg_dump --schema-only --section=pre-data of the source has its statement), or let the column be text: --type ${first.name.split('.').slice(-2).join('.')}=text.`,
      details: lacking.map((c) => `${c.name}: ${c.native}`),
      side: target.name,
    },
  );
};
