import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

/** One measured line of the speed table. */
export interface Figure {
  readonly scenario: string;
  readonly rows: number;
  /** Seconds of ours, median. */
  readonly seconds: number;
  /** Seconds of the yardstick, median, measured in turns with ours. */
  readonly yardstick: number | null;
  /** Median of the rounds' ratios, ours to the yardstick; for `apply`, of the rates. */
  readonly ratio: number | null;
  readonly goal: number | null;
  readonly holds: boolean | null;
  /** Peak resident memory of our processes, MB. */
  readonly rss: number | null;
  /** Seconds of waiting and reading again, apart from `seconds`. */
  readonly confirm?: number;
  readonly note?: string;
}

export const round = (x: number): number => Math.round(x * 1000) / 1000;

const commit = (): string => {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
};

const append = (file: string, facts: object, now: Date): void => {
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, node ${process.versions.node}`;
  const line = { date: now.toISOString(), commit: commit(), machine, ...facts };
  appendFileSync(join(import.meta.dirname, file), `${JSON.stringify(line)}\n`);
};

/** Appends a figure to the history. */
export const record = (f: Figure, now: Date): void => append('history.jsonl', f, now);

/** Appends what a soak that did not fail has seen. */
export const recordSoak = (scenario: string, seen: object, now: Date): void =>
  append('soak.jsonl', { scenario, ...seen }, now);

const cell = (x: number | null | undefined, digits: number): string => (x == null ? '-' : x.toFixed(digits));

export const header = `${'scenario'.padEnd(44)}${'rows'.padStart(10)}${'s'.padStart(9)}${'yardstick'.padStart(11)}${'ratio'.padStart(8)}${'goal'.padStart(7)}${'holds'.padStart(7)}${'RSS MB'.padStart(8)}${'confirm s'.padStart(11)}`;

export const lineOf = (f: Figure): string =>
  [
    f.scenario.padEnd(44),
    f.rows.toLocaleString('en-US').padStart(10),
    cell(f.seconds, 2).padStart(9),
    cell(f.yardstick, 2).padStart(11),
    cell(f.ratio, 2).padStart(8),
    cell(f.goal, 2).padStart(7),
    (f.holds === null ? '-' : f.holds ? 'yes' : 'NO').padStart(7),
    cell(f.rss, 0).padStart(8),
    cell(f.confirm, 2).padStart(11),
  ].join('') + (f.note ? `  ${f.note}` : '');
