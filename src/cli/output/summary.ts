import { count, grouped } from '../../lib/grouped.ts';
import { visibleText } from '../../model/canon/show.ts';
import { rowsTogether } from '../../model/differing-share.ts';
import type { CompareReport, PairReport } from '../../model/report.ts';
import { inert } from '../report-error.ts';
import { incrementalLines } from './incremental.ts';
import { columnsOf, duration, short } from './text.ts';

/** The result of a comparison in words and numbers: what table, markdown and html share. */

export const pairLabel = (p: PairReport): string =>
  p.source === p.target ? visibleText(p.source) : `${visibleText(p.source)} = ${visibleText(p.target)}`;

export const pairDiffers = (p: PairReport): boolean => p.different + p.only_in_source + p.only_in_target > 0;

/** Green only when nothing differs, nothing moved and nothing was left out. */
export const pairState = (p: PairReport): 'agrees' | 'differs' | 'incomplete' => {
  if (pairDiffers(p)) return 'differs';
  return p.duplicate_key + p.in_flight + p.outside_filter + p.not_compared.length > 0 ? 'incomplete' : 'agrees';
};

export const marks = { agrees: '✓', differs: '✗', incomplete: '!' } as const;

export interface PairTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The seven buckets per pair. */
export const pairTable = (report: CompareReport): PairTable => ({
  head: [
    'PAIR',
    'IDENTICAL',
    'DIFFERENT',
    `ONLY ${visibleText(report.source.name)}`,
    `ONLY ${visibleText(report.target.name)}`,
    'DUPLICATE KEY',
    'IN FLIGHT',
    'NOT COMPARED',
    '',
  ],
  rows: report.pairs.map((p) => {
    const state = pairState(p);
    return [
      pairLabel(p),
      grouped(p.identical),
      grouped(p.different),
      grouped(p.only_in_source),
      grouped(p.only_in_target),
      grouped(p.duplicate_key),
      grouped(p.in_flight),
      grouped(p.not_compared.length),
      `${marks[state]} ${state}`,
    ];
  }),
});

const rowsOf = (report: CompareReport): number =>
  report.pairs.reduce((sum, p) => sum + Math.max(p.rows.source, p.rows.target), 0);

/** `3 pairs · 1,284,207 rows · 11.8 s · 109k rows/s` */
export const workDone = (report: CompareReport, elapsedMs: number): string => {
  const rows = rowsOf(report);
  const rate = elapsedMs > 0 && rows >= 10_000 ? [`${short((rows * 1000) / elapsedMs)} rows/s`] : [];
  const ranges = report.pairs.reduce((sum, p) => sum + (p.ranges?.length ?? 0), 0);
  // by several workers, each range in snapshots of its own
  const cut = ranges === 0 ? [] : [`in ${count(ranges, 'range')}`];
  return [count(report.pairs.length, 'pair'), count(rows, 'row'), ...cut, duration(elapsedMs), ...rate].join(' · ');
};

/** The last word: verdict, numbers, and why it is not green when it is not. */
export const verdictLine = (report: CompareReport): string => {
  const sum = (of: (p: PairReport) => number): number => report.pairs.reduce((n, p) => n + of(p), 0);
  const differing = sum((p) => p.different + p.only_in_source + p.only_in_target);
  const open = [
    [report.coverage.not_compared.length, 'not compared'],
    [sum((p) => p.quarantined ?? 0), 'quarantined'],
    [sum((p) => p.in_flight), 'in flight'],
    [sum((p) => p.duplicate_key), 'with a duplicate key'],
    [sum((p) => p.outside_filter), 'outside the filter on one side'],
  ] as const;
  const left = open.filter(([n]) => n > 0).map(([n, what]) => `${grouped(n)} ${what}`);
  if (report.verdict === 'differs') {
    const all = sum((p) => rowsTogether({ rows: p.incremental?.table_rows ?? p.rows, found: p }));
    const share = (100 * differing) / Math.max(1, all);
    const percent = share >= 0.01 ? share.toFixed(2) : share.toPrecision(1);
    return `✗ DIFFERS: ${count(differing, 'row')} of ${grouped(all)} (${percent} %)${left.length ? `; ${left.join(', ')}` : ''}`;
  }
  if (report.verdict === 'agrees')
    return report.pairs.some((p) => p.incremental?.mode === 'changes')
      ? `✓ AGREES: ${count(rowsOf(report), 'row')} that may have changed in ${count(report.pairs.length, 'pair')}, and by them all others`
      : `✓ AGREES: ${count(rowsOf(report), 'row')} in ${count(report.pairs.length, 'pair')}, nothing in them left out`;
  if (report.pairs.length === 0 && left.length === 0) return '! INCOMPLETE: nothing was compared';
  return `! INCOMPLETE: no confirmed difference, but ${left.join(', ') || 'the comparison did not cover everything'}`;
};

/** Columns and how often each differs, most first: `status 31 · renews_at 9`. */
export const histogram = (p: PairReport): string =>
  Object.entries(p.columns)
    .filter(([, n]) => n > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([column, n]) => `${visibleText(column)} ${grouped(n)}`)
    .join(' · ')
    .concat(p.columns_of === undefined ? '' : ` (of ${grouped(p.columns_of)} looked at)`);

/** Labelled remarks below the differences: patterns, what was not compared and why, tolerances, warnings. */
export const remarks = (report: CompareReport): readonly (readonly [label: string, text: string])[] => {
  const found: (readonly [string, string])[] = [];
  const add = (label: string, text: string): void => void found.push([label, inert(text)]);
  for (const p of report.pairs)
    for (const pattern of p.patterns ?? [])
      add('pattern', `${pairLabel(p)}: ${pattern.message}${pattern.fix === undefined ? '' : `. Try: ${pattern.fix}`}`);
  for (const line of incrementalLines(report)) add('incremental', line);
  for (const p of report.pairs) {
    if (p.in_flight)
      add('in flight', `${pairLabel(p)}: ${count(p.in_flight, 'key')} kept changing while being read; run it again`);
    if (p.duplicate_key)
      add(
        'duplicate key',
        `${pairLabel(p)}: ${count(p.duplicate_key, 'key')} (${p.key.join(', ')}) on more than one row`,
      );
    if (p.outside_filter)
      add(
        'filter',
        `${pairLabel(p)}: ${count(p.outside_filter, 'row')} exist on the other side, outside its filter; not counted as missing`,
      );
  }
  for (const n of report.coverage.not_compared)
    add('not compared', `${n.what}: ${n.reason}${n.fix === undefined ? '' : `. ${n.fix}`}`);
  const tolerated = report.pairs.flatMap((p) =>
    Object.entries(p.tolerated)
      .filter(([, n]) => n > 0)
      .map(([column, n]) => `${pairLabel(p)}.${column} hid ${count(n, 'difference')}`),
  );
  if (tolerated.length) add('tolerances', tolerated.join(' · '));
  for (const p of report.pairs) for (const w of p.warnings) add('warning', `${pairLabel(p)}: ${w}`);
  return found;
};

/** How it was compared, for `--explain`. */
export const explainLines = (report: CompareReport): string[] => {
  const lines: string[] = [];
  for (const p of report.pairs) {
    lines.push(
      '',
      `${pairLabel(p)}: ${p.strategy}, ${duration(p.elapsed_ms)} (${duration(p.settle_ms)} of it to confirm)`,
    );
    lines.push(`  ${inert(p.explain.decision)}`);
    const rows = p.explain.queries.map((q) => [
      `  ${q.side}`,
      duration(q.elapsedMs),
      count(q.rows, 'row'),
      `${short(q.bytes)}B`,
      inert(q.sql.replaceAll(/\s+/g, ' ')).slice(0, 400),
    ]);
    lines.push(...columnsOf(rows, (i) => i > 0 && i < 4));
  }
  return lines;
};
