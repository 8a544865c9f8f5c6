import { count, grouped } from '../../lib/grouped.ts';
import { hidden } from '../../model/canon/concealed.ts';
import { show, visibleCell, visibleText } from '../../model/canon/show.ts';
import type { Conflict } from '../../model/conflicts.ts';
import type { Cell, Text } from '../../model/row.ts';
import type { Outcome, ReplayCounts, ReplayedConflict } from '../../work/two-way/replay.ts';
import { conflictKey, shownReason } from '../../work/two-way/shown-conflict.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { keyText } from './conflict-view.ts';
import { jsonText } from './json-text.ts';
import { writeList } from './list.ts';
import { cut } from './text.ts';

/** The cells in which a row is not what the source shows, or whose row it is. */
const cellOf = (c: Conflict, row: readonly Cell[], i: number): Cell => {
  const cell = row[i] ?? null;
  return cell !== null && c.columns[i]!.concealed ? (show(hidden) as Text) : cell;
};

/** What is said of a row may quote values that are not shown. */
const reasonOf = (c: Conflict, { reason }: Outcome): string =>
  c.columns.some((x) => x.concealed) ? shownReason(c) : reason;

const rowText = (c: Conflict, outcome: Outcome): string => {
  if (outcome.kind === 'waits') return 'a person';
  const { row } = outcome;
  if (row === null) return 'no row';
  const same = (side: 'source' | 'target'): boolean => c[side]?.every((cell, i) => cell === row[i]) === true;
  if (same('source')) return 'the source’s row';
  if (same('target')) return 'the target’s row';
  const told = c.columns.flatMap((column, i) =>
    column.disputed ? [`${visibleText(column.column)} ${visibleCell(cellOf(c, row, i))}`] : [],
  );
  return cut(told.length === 0 ? 'columns of both' : told.join(', '), 50);
};

const outcomeJson = (c: Conflict, outcome: Outcome | undefined): unknown =>
  outcome === undefined
    ? null
    : outcome.kind === 'waits'
      ? { waits: true, reason: reasonOf(c, outcome) }
      : {
          waits: false,
          by: outcome.by,
          reason: reasonOf(c, outcome),
          row:
            outcome.row && Object.fromEntries(c.columns.map(({ column }, i) => [column, cellOf(c, outcome.row!, i)])),
        };

const oneJson = ({ conflict: c, was, would }: ReplayedConflict): string =>
  jsonText({
    conflict: c.id,
    pair: c.pair,
    key: conflictKey(c),
    type: c.type,
    state: c.state,
    was: outcomeJson(c, was),
    would: outcomeJson(c, would),
  });

/** Writes conflicts of which something else would become; at most `limit`. */
export const openReplay = (out: Out, format: 'table' | 'json' | 'jsonl', limit: number) => {
  let found = 0;
  let shown = 0;
  const rows: string[][] = [];
  return {
    add: async (one: ReplayedConflict): Promise<void> => {
      found++;
      if (shown >= limit) return;
      shown++;
      const { conflict: c, was, would } = one;
      if (format === 'jsonl') await out.write(`${oneJson(one)}\n`);
      else if (format === 'json')
        await out.write(`${shown === 1 ? '{"schema_version":1,"conflicts":[' : ','}\n${oneJson(one)}`);
      else
        rows.push([
          c.id,
          `${visibleText(c.pair)} ${cut(keyText(c), 30)}`,
          c.type,
          rowText(c, was),
          would === undefined ? 'not known' : rowText(c, would),
          would === undefined ? 'recorded without its types' : cut(inert(reasonOf(c, would)), 70),
        ]);
    },
    end: async (counts: ReplayCounts): Promise<void> => {
      const summary = { ...counts, truncated: shown < found };
      if (format === 'jsonl') return out.write(`${jsonText({ summary })}\n`);
      if (format === 'json')
        return out.write(
          `${shown === 0 ? '{"schema_version":1,"conflicts":[' : ''}],"counts":${jsonText(counts)},"truncated":${shown < found}}\n`,
        );
      if (rows.length > 0) {
        await writeList(out, ['ID', 'KEY', 'TYPE', 'WAS', 'WOULD BE', 'BECAUSE'], rows);
        if (shown < found) await out.write(`  ${grouped(found - shown)} more: --limit all\n`);
        await out.write('\n');
      }
      await out.write(
        `  ${count(counts.conflicts, 'recorded conflict')}: ${grouped(counts.same)} as before · ${grouped(counts.settled)} would be settled · ${grouped(counts.otherwise)} decided otherwise · ${grouped(counts.asked)} would wait for a person${counts.unknown > 0 ? ` · ${grouped(counts.unknown)} not known` : ''}\n`,
      );
    },
  };
};
