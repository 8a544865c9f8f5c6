import { count, grouped } from '../lib/grouped.ts';
import { visibleText } from '../model/canon/show.ts';
import type { Progress } from '../model/report.ts';
import type { Context } from './context.ts';
import { cut, duration, short } from './output/text.ts';

/** Shows work as it goes: one live line on a terminal, else one line per ten seconds. Dispose before writing results. */
export interface ProgressView extends Disposable {
  tick(progress: Progress): void;
  /** Takes the live line away, so that a message can be written; it comes back with the next tick. */
  clear(): void;
}

const liveMs = 100;
const linesMs = 10_000;

const words: Readonly<Record<Progress['phase'], string>> = {
  inspect: 'looking at tables',
  make: 'making tables, keys and indexes',
  load: 'loading',
  probe: 'probing',
  digest: 'comparing digests',
  scan: 'comparing rows',
  confirm: 'confirming differences',
  plan: 'planning',
  apply: 'applying',
  verify: 'verifying',
  agree: 'keeping what both agree on',
};

/** Done and expected rows, rate and time to go: `410,000 of 1,000,000 rows · 41 % · 109k rows/s · 5.4 s to go`. */
const line = (p: Progress, elapsedMs: number, rate: number): string => {
  const parts = [p.pair === '' ? words[p.phase] : `${visibleText(p.pair)} · ${words[p.phase]}`];
  if (p.rows > 0 || p.total !== undefined) {
    parts.push(
      p.total === undefined ? count(p.rows, 'row') : `${grouped(p.rows)} of ${count(Math.max(p.rows, p.total), 'row')}`,
    );
    if (p.total !== undefined && p.total > 0) parts.push(`${Math.min(100, Math.floor((100 * p.rows) / p.total))} %`);
  }
  if (rate > 0) parts.push(`${short(rate)} rows/s`);
  if (p.total !== undefined && rate > 0 && p.total > p.rows)
    parts.push(`${duration((1000 * (p.total - p.rows)) / rate)} to go`);
  else parts.push(duration(elapsedMs));
  return parts.join(' · ');
};

export const progressView = (context: Context): ProgressView => {
  const { err, clock } = context;
  const live = err.isTTY && context.env['TERM'] !== 'dumb';
  if (context.quiet) return { tick: () => {}, clear: () => {}, [Symbol.dispose]: () => {} };
  let current: Progress | undefined;
  let phaseBegan = clock.elapsed();
  let shown = false;
  const clear = (): void => {
    if (live && shown) void err.write('\r\u001b[2K');
    shown = false;
  };
  const show = (): void => {
    if (!current) return;
    const elapsed = clock.elapsed() - phaseBegan;
    const rate = elapsed > 500 ? (current.rows * 1000) / elapsed : 0;
    const text = line(current, elapsed, rate);
    if (live) void err.write(`\r\u001b[2K${cut(text, err.columns - 1)}`);
    else void err.write(`${text}\n`);
    shown = true;
  };
  const timer = context.every(live ? liveMs : linesMs, show);
  return {
    tick: (p) => {
      if (!current || current.pair !== p.pair || current.phase !== p.phase) phaseBegan = clock.elapsed();
      current = p;
    },
    clear: () => {
      clear();
      current = undefined;
    },
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      clear();
    },
  };
};
