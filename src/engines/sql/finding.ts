import type { Finding } from '../../model/endpoint.ts';
import { type Table, tableLabel } from '../../model/schema.ts';

/** Something that the doctor tells; `fix`: what to do about it. */
export const finding = (level: Finding['level'], code: string, message: string, fix?: string): Finding => ({
  level,
  code,
  message,
  ...(fix === undefined ? {} : { fix }),
});

/** A table whose rows nothing tells apart. `id`: its name in SQL. */
export const keyFindings = (table: Table, id: string): readonly Finding[] =>
  table.kind === 'view' || table.uniques.some((u) => u.total)
    ? []
    : [
        finding(
          'warning',
          'KEY',
          `${tableLabel(table)} has no primary key and no unique key without NULLs: it can be compared as a whole, but not repaired`,
          `alter table ${id} add primary key (…);`,
        ),
      ];

/** Triggers of a table that is written. */
export const triggerFindings = (table: Table): readonly Finding[] =>
  table.triggers.length === 0
    ? []
    : [
        finding(
          'warning',
          'TRIGGERS',
          `${tableLabel(table)} has triggers that run on our writes and may change what is stored: ${table.triggers.join(', ')}`,
        ),
      ];
