import type { DefaultValue } from '../../model/build.ts';
import { canonical } from '../../model/canon/canonical.ts';
import { isMisfit } from '../../model/canon/misfit.ts';
import type { ColumnType } from '../../model/schema.ts';
import type { Made } from './column-type.ts';
import { literal } from './quote.ts';

const numeric = (kind: string): boolean => kind === 'int' || kind === 'decimal' || kind === 'float';

/** A default as part of a column's definition. */
export const defaultSql = (value: DefaultValue | undefined, { type, long }: Made): string => {
  if (value === undefined) return '';
  switch (value.kind) {
    case 'now': {
      if (type.kind === 'date') return ' default (current_date)';
      if (type.kind === 'time') return ' default (current_time)';
      const fraction = 'fraction' in type ? `(${type.fraction})` : '';
      return type.kind === 'timestamp' || type.kind === 'instant' ? ` default current_timestamp${fraction}` : '';
    }
    case 'today':
      return ' default (current_date)';
    case 'native':
      return ` default ${value.sql}`;
    case 'value': {
      const sql =
        type.kind === 'bool'
          ? String(Number(value.cell === 'true'))
          : type.kind === 'bytes'
            ? `x'${value.cell}'`
            : numeric(type.kind)
              ? value.cell
              : literal(value.cell);
      return long ? ` default (${sql})` : ` default ${sql}`;
    }
  }
};

/** A default as every engine can say it; undefined: only this one can. `sql`: as the catalogue has it. */
export const portableDefault = (sql: string, type: ColumnType, mariadb: boolean): DefaultValue | undefined => {
  if (/^(current_timestamp(\(\d?\))?|now\(\))$/i.test(sql)) return { kind: 'now' };
  if (/^\(?(curdate\(\)|current_date(\(\))?)\)?$/i.test(sql)) return { kind: 'today' };
  const bare = sql.replace(/^\((.*)\)$/s, '$1');
  const quoted = /^'((?:[^'\\]|''|\\.)*)'$/s.exec(bare)?.[1]?.replaceAll("''", "'").replace(/\\(.)/g, '$1');
  // MySQL shows a literal without its quotes, MariaDB with them
  const given = mariadb ? (quoted ?? (/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(bare) ? bare : undefined)) : (quoted ?? sql);
  if (given === undefined || type.kind === 'bytes' || type.kind === 'bit') return undefined;
  const cell = canonical(type, given);
  return cell === null || isMisfit(cell) ? undefined : { kind: 'value', cell };
};
