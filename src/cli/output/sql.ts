import { isMisfit } from '../../model/canon/misfit.ts';
import { shownCell, visibleText } from '../../model/canon/show.ts';
import type { Difference } from '../../model/change.ts';
import type { Cell } from '../../model/row.ts';
import type { ColumnType, TableName } from '../../model/schema.ts';
import { type ShownPair, shownKey } from '../../work/shown-difference.ts';
import type { Out } from '../io.ts';
import type { DiffOutput } from './diff-output.ts';

const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const tableSql = (t: TableName): string =>
  (t.schema === undefined ? '' : `${identifier(t.schema)}.`) + identifier(t.name);
const comment = (text: string): string => `-- ${visibleText(text)}`;

/** A quoted literal; undefined when the value cannot be written as one (bytes that are no text, NUL, a misfit). */
const literal = (column: ShownPair['columns'][number], cell: Cell): string | undefined => {
  const type: ColumnType = column.as;
  if (cell === null) return 'null';
  if (isMisfit(cell)) return undefined;
  // Line ends and tabs may stand in a literal; what acts on a terminal or hides may not.
  const text = shownCell(cell, type) ?? '';
  const plain = text.replaceAll(/[\n\r\t]/g, ' ');
  if (visibleText(plain) !== plain) return undefined;
  if (type.kind === 'bytes') return /^bytea/i.test(column.native ?? '') ? `'\\x${cell}'` : `X'${cell}'`;
  if ((type.kind === 'int' || type.kind === 'decimal') && /^-?\d+(\.\d+)?$/.test(cell)) return cell;
  if (type.kind === 'bool') return cell;
  return `'${text.replaceAll("'", "''")}'`;
};

const literals = (pair: ShownPair, row: readonly Cell[], indexes: readonly number[]): readonly string[] | undefined => {
  const all = indexes.map((i) => literal(pair.columns[i]!, row[i] ?? null));
  return all.every((l) => l !== undefined) ? (all as string[]) : undefined;
};

/** The statement that would make the target agree in this row; undefined when a value has no literal. */
const statement = (pair: ShownPair, d: Difference): string | undefined => {
  const table = tableSql(pair.targetTable);
  const names = pair.columns.map((c) => identifier(c.target));
  const keyIndexes = pair.columns.slice(0, pair.keyWidth).map((_, i) => i);
  const keys = literals(pair, d.key, keyIndexes);
  if (!keys) return undefined;
  const where = keyIndexes.map((i) => `${names[i]} = ${keys[i]}`).join(' and ');
  if (d.kind === 'only_in_source') {
    const values = literals(pair, d.source, [...names.keys()]);
    return values && `insert into ${table} (${names.join(', ')}) values (${values.join(', ')});`;
  }
  if (d.kind === 'only_in_target') return `delete from ${table} where ${where};`;
  const after = literals(pair, d.source, d.columns);
  const before = literals(pair, d.target, d.columns);
  if (!after || !before) return undefined;
  const set = d.columns.map((i, n) => `${names[i]} = ${after[n]}`).join(', ');
  const guard = d.columns.map((i, n) => (before[n] === 'null' ? `${names[i]} is null` : `${names[i]} = ${before[n]}`));
  return `update ${table} set ${set} where ${[where, ...guard].join(' and ')};`;
};

/**
 * The statements that would make the target agree, to be read, not to be trusted: `plan` and `apply` know foreign
 * keys, order, guards and rows that moved. Deletes are written as comments.
 */
export const sqlOutput = (out: Out): DiffOutput => {
  let begun = false;
  const head = async (): Promise<void> => {
    if (begun) return;
    begun = true;
    await out.write(
      '-- What would make the target agree, for review only: no order, no guards, deletes commented out.\n-- To change data, use: lockstep plan, lockstep apply\n',
    );
  };
  return {
    async difference(pair, d) {
      await head();
      if (pair.keyWidth === 0) {
        await out.write(`${comment(`${pair.target}: a row without a key (${d.kind}) cannot be addressed`)}\n`);
        return;
      }
      const sql = statement(pair, d);
      if (sql === undefined) {
        const key = shownKey(pair, d.key)
          .map((c) => (c === null ? 'NULL' : visibleText(c)))
          .join(', ');
        await out.write(`${comment(`${pair.target} ${key}: ${d.kind}, with a value that has no literal`)}\n`);
      } else if (d.kind === 'only_in_target') {
        await out.write(
          `${sql
            .split(/\r\n|\n|\r|\u2028|\u2029/)
            .map((l) => `-- ${l}`)
            .join('\n')}\n`,
        );
      } else await out.write(`${sql}\n`);
    },
    async end(report) {
      await head();
      await out.write(`-- verdict: ${report.verdict}\n`);
    },
    async [Symbol.asyncDispose]() {},
  };
};
