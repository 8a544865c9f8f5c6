import { count, grouped } from '../../lib/grouped.ts';
import { visibleText } from '../../model/canon/show.ts';
import type { Conflict, Resolution } from '../../model/conflicts.ts';
import type { BulkPreview } from '../../work/two-way/resolve.ts';
import { shownReason } from '../../work/two-way/shown-conflict.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { styleOf } from '../style.ts';
import { keyText } from './conflict-view.ts';
import { jsonText } from './json-text.ts';
import { columnsOf, cut } from './text.ts';

/** What became of a resolution. */
export interface Resolved {
  readonly decided: readonly Conflict[];
  /** The run that wrote it; null: the next one does. */
  readonly run: string | null;
  readonly written: number;
  /** They wait again: the row had moved, or what was chosen cannot be written. */
  readonly again: readonly Conflict[];
  /** Decided, and not written yet. */
  readonly left: number;
  /** Both sides had come to agree by themselves, or the row became another conflict: nothing was to be written. */
  readonly gone: number;
  /** What was to be taken is not kept, or would not stay. */
  readonly impossible: number;
}

export const resolvedJson = (out: Out, r: Resolved): Promise<void> =>
  out.write(
    `${jsonText({
      schema_version: 1,
      decided: r.decided.length,
      ids: r.decided.map((c) => c.id),
      run: r.run,
      written: r.written,
      moved: r.again.length,
      waiting: r.again.map((c) => ({ id: c.id, reason: shownReason(c) })),
      left: r.left,
      gone: r.gone,
      impossible: r.impossible,
    })}\n`,
  );

export const resolvedTable = async (out: Out, r: Resolved): Promise<void> => {
  const style = styleOf(out.color);
  const line = (mark: string, text: string): Promise<void> => out.write(`  ${mark} ${text}\n`);
  if (r.decided.length === 0 && r.impossible === 0) return out.write('  no conflict is meant: nothing was decided\n');
  if (r.written > 0) await line(style.green('✓'), `${count(r.written, 'conflict')} resolved, as it was chosen`);
  for (const [reason, some] of Map.groupBy(r.again, shownReason))
    await line(
      style.yellow('?'),
      `${count(some.length, 'conflict waits', 'conflicts wait')} again: ${inert(reason)} (lockstep conflicts list)`,
    );
  if (r.gone > 0)
    await line(
      '·',
      `${count(r.gone, 'conflict')} gone meanwhile: nothing was written for ${r.gone === 1 ? 'it' : 'them'}`,
    );
  if (r.left > 0) {
    const when = r.run === null ? 'the next run of the sync writes it' : `not written, see lockstep show ${r.run}`;
    await line(style.yellow('…'), `${count(r.left, 'conflict')} decided: ${when}`);
  }
  if (r.impossible > 0)
    await line(style.yellow('!'), `${count(r.impossible, 'conflict')} left: they cannot be resolved so`);
  if (r.run !== null) await out.write(`\n  run ${style.bold(r.run)}   undo: lockstep revert ${r.run}\n`);
};

const examples = 10;

/** What a bulk resolution would do, to be looked at before anything is decided. */
export const bulkReview = async (
  out: Out,
  { conflicts, impossible }: BulkPreview,
  choice: Resolution,
): Promise<void> => {
  const kinds = Map.groupBy(conflicts, (c) => `${visibleText(c.pair)}   ${c.type}`);
  for (const [kind, some] of kinds) await out.write(`  ${kind}   ${grouped(some.length)}\n`);
  const gone = choice.take === 'base' ? [] : conflicts.filter((c) => c[choice.take as 'source' | 'target'] === null);
  if (gone.length > 0) await out.write(`  ! of these, ${grouped(gone.length)} delete the row\n`);
  if (impossible.length > 0)
    await out.write(
      `  ! ${grouped(impossible.length)} more cannot be resolved so: what is to be taken is not kept, or a one-way sync would bring the row back\n`,
    );
  const rows = conflicts.slice(0, examples).map((c) => [`    ${c.id}`, cut(keyText(c), 40), c.type]);
  if (rows.length > 0) await out.write(`${columnsOf(rows, () => false).join('\n')}\n`);
  if (conflicts.length > examples) await out.write(`    … ${grouped(conflicts.length - examples)} more\n`);
};
