import { isMisfit } from '../model/canon/misfit.ts';
import { parts, timestampParts } from '../model/canon/timestamp.ts';
import type { Difference } from '../model/change.ts';
import { foldCase, parseDecimal } from '../model/judge.ts';
import type { Pair } from '../model/pair.ts';
import type { Pattern } from '../model/report.ts';
import type { Cell, Row, Text } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';

/** Fewer differences than this show no regularity worth saying. */
const least = 3;
/** Share of a column's differences that must show it. */
const share = 0.8;

/** Two cells that differ, neither NULL nor anything that the type cannot be read as. */
interface Unequal {
  readonly source: string;
  readonly target: string;
}

/**
 * Regularities in a bounded sample of differences: what a person would like to hear before scrolling. Pure; it never
 * changes a verdict.
 */
export const findPatterns = (pair: Pair, differences: readonly Difference[]): readonly Pattern[] => {
  const found: Pattern[] = [];
  const different = differences.filter((d) => d.kind === 'different');
  const counts = new Map<number, number>();
  for (const d of different) for (const c of d.columns) counts.set(c, (counts.get(c) ?? 0) + 1);
  for (const [index, of] of counts) {
    if (of < least) continue;
    const column = pair.columns[index]!;
    const name = column.source.name;
    const rows = different.filter((d) => d.columns.includes(index));
    const nulls = rows.filter((d) => emptyAgainstNull(d.source[index]!, d.target[index]!)).length;
    const cells = rows.flatMap((d): Unequal[] => {
      const [source, target] = [d.source[index]!, d.target[index]!];
      return isValue(source) && isValue(target) ? [{ source, target }] : [];
    });
    const say = (seen: number, what: string, fix?: string): void => {
      if (seen < least || seen < of * share) return;
      found.push({ columns: [name], message: `${name}: ${seen} of ${of} ${what}`, seen, of, ...(fix ? { fix } : {}) });
    };
    say(nulls, 'are NULL on one side and empty on the other');
    for (const look of looksFor(column.as)) {
      const result = look(cells);
      if (result) say(result.seen, result.what, result.fix?.(name));
    }
  }
  const swapped = swappedColumns(pair, different);
  if (swapped) found.push(swapped);
  const renumbered = renumberedKeys(pair, differences);
  if (renumbered) found.push(renumbered);
  return found.sort((a, b) => b.seen - a.seen);
};

const isValue = (cell: Cell): cell is Text => cell !== null && !isMisfit(cell);

const emptyAgainstNull = (a: string | null, b: string | null): boolean =>
  (a === null && b === '') || (a === '' && b === null);

interface Look {
  readonly seen: number;
  readonly what: string;
  readonly fix?: (column: string) => string;
}

const looksFor = (type: ColumnType): readonly ((cells: readonly Unequal[]) => Look | undefined)[] => {
  switch (type.kind) {
    case 'timestamp':
    case 'instant':
      return [timeOffset, precisionCut];
    case 'time':
      return [precisionCut];
    case 'int':
    case 'decimal':
    case 'float':
      return [rounded, signChanged, unitFactor, numericOffset];
    case 'text':
    case 'enum':
    case 'opaque':
      return [trailingBlanks, caseOnly];
    default:
      return [];
  }
};

const counted = (cells: readonly Unequal[], test: (c: Unequal) => boolean): number => cells.filter(test).length;

const trailingBlanks = (cells: readonly Unequal[]): Look => ({
  seen: counted(cells, ({ source, target }) => source.trimEnd() === target.trimEnd()),
  what: 'differ only by blanks at the end',
});

const caseOnly = (cells: readonly Unequal[]): Look => ({
  seen: counted(cells, ({ source, target }) => foldCase(source) === foldCase(target)),
  what: 'differ only by upper and lower case',
});

/** The most frequent value and how often it occurs. */
const mostFrequent = <T>(values: readonly T[]): { readonly value: T; readonly times: number } | undefined => {
  const times = new Map<T, number>();
  for (const value of values) times.set(value, (times.get(value) ?? 0) + 1);
  let best: { value: T; times: number } | undefined;
  for (const [value, n] of times) if (!best || n > best.times) best = { value, times: n };
  return best;
};

const microseconds = (text: string): bigint | undefined =>
  timestampParts(text) === 0 ? BigInt(parts.seconds) * 1_000_000n + BigInt(parts.micros) : undefined;

const timeOffset = (cells: readonly Unequal[]): Look | undefined => {
  const offsets = cells.flatMap(({ source, target }) => {
    const [s, t] = [microseconds(source), microseconds(target)];
    return s === undefined || t === undefined ? [] : [t - s];
  });
  const best = mostFrequent(offsets);
  if (!best) return undefined;
  const size = best.value < 0n ? -best.value : best.value;
  const zone = size % 900_000_000n === 0n && size <= 14n * 3_600_000_000n ? ': likely a time zone' : '';
  return { seen: best.times, what: `are exactly ${best.value < 0n ? '-' : '+'}${clock(size)}${zone}` };
};

const clock = (micros: bigint): string => {
  const seconds = micros / 1_000_000n;
  const two = (n: bigint): string => String(n).padStart(2, '0');
  const fraction = String(micros % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '');
  return `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}${fraction ? `.${fraction}` : ''}`;
};

const fractionOf = (text: string): string => /:\d\d\.(\d+)/.exec(text)?.[1] ?? '';
const withoutFraction = (text: string): string => text.replace(/(:\d\d)\.\d+/, '$1');

/** One side keeps fewer digits of a second than the other. */
const precisionCut = (cells: readonly Unequal[]): Look | undefined => {
  const alike = cells.filter(({ source, target }) => withoutFraction(source) === withoutFraction(target));
  if (alike.length === 0) return undefined;
  const digits = (side: 'source' | 'target'): number => Math.max(...alike.map((c) => fractionOf(c[side]).length));
  const coarse = digits('source') < digits('target') ? 'source' : 'target';
  const fine = coarse === 'source' ? 'target' : 'source';
  const kept = digits(coarse);
  if (kept >= digits(fine)) return undefined;
  const near = counted(alike, (c) => {
    const gap = Number(fractionOf(c[fine]).padEnd(6, '0')) - Number(fractionOf(c[coarse]).padEnd(6, '0'));
    return Math.abs(gap) < 10 ** (6 - kept);
  });
  return {
    seen: near,
    what: `agree to ${kept === 0 ? 'the second' : `${kept} digits of a second`}: the ${coarse} keeps no more`,
    fix: (name) => `${name}: { tolerance: { fraction: ${kept} } }`,
  };
};

const scaled = (text: string, scale: number): bigint | undefined => {
  const n = parseDecimal(text);
  return n && n.scale <= scale ? n.digits * 10n ** BigInt(scale - n.scale) : undefined;
};
const scaleOf = (text: string): number => parseDecimal(text)?.scale ?? 0;
const magnitude = (n: bigint): bigint => (n < 0n ? -n : n);

/** One side has fewer decimals, and the other is within one unit of its last place. */
const rounded = (cells: readonly Unequal[]): Look | undefined => {
  const numbers = cells.filter((c) => parseDecimal(c.source) && parseDecimal(c.target));
  if (numbers.length === 0) return undefined;
  const places = (side: 'source' | 'target'): number => Math.max(...numbers.map((c) => scaleOf(c[side])));
  const coarse = places('source') < places('target') ? 'source' : 'target';
  const kept = places(coarse);
  const scale = Math.max(places('source'), places('target'));
  if (kept >= scale) return undefined;
  const unit = 10n ** BigInt(scale - kept);
  const gaps = numbers.map((c) => magnitude(scaled(c.source, scale)! - scaled(c.target, scale)!));
  const round = gaps.filter((gap) => gap * 2n <= unit).length;
  const cut = gaps.filter((gap) => gap < unit).length;
  const limit = kept === 0 ? '1' : `0.${'0'.repeat(kept - 1)}1`;
  const places_ = kept === 1 ? '1 decimal' : `${kept} decimals`;
  return {
    seen: Math.max(round, cut),
    what: `are ${round >= cut ? 'rounded' : 'cut'} to ${places_} in the ${coarse}`,
    fix: (name) => `--tolerance ${name}=${limit}`,
  };
};

const numbersOf = (cells: readonly Unequal[]): readonly (readonly [bigint, bigint])[] => {
  const scale = Math.max(0, ...cells.flatMap((c) => [scaleOf(c.source), scaleOf(c.target)]));
  return cells.flatMap((c) => {
    const [s, t] = [scaled(c.source, scale), scaled(c.target, scale)];
    return s === undefined || t === undefined ? [] : [[s, t] as const];
  });
};

const signChanged = (cells: readonly Unequal[]): Look => ({
  seen: numbersOf(cells).filter(([s, t]) => s === -t).length,
  what: 'have the opposite sign',
});

const factors = [10n, 60n, 100n, 1000n, 1024n, 3600n, 86_400n, 1_000_000n, 1_048_576n, 1_000_000_000n];

const unitFactor = (cells: readonly Unequal[]): Look | undefined => {
  const numbers = numbersOf(cells);
  let best: Look | undefined;
  for (const factor of factors) {
    for (const [side, test] of [
      ['target', ([s, t]: readonly [bigint, bigint]) => s !== 0n && s * factor === t],
      ['source', ([s, t]: readonly [bigint, bigint]) => t !== 0n && t * factor === s],
    ] as const) {
      const seen = numbers.filter(test).length;
      if (seen > (best?.seen ?? 0)) best = { seen, what: `are ${factor} times as large in the ${side}: another unit?` };
    }
  }
  return best;
};

const numericOffset = (cells: readonly Unequal[]): Look | undefined => {
  const scale = Math.max(0, ...cells.flatMap((c) => [scaleOf(c.source), scaleOf(c.target)]));
  const numbers = numbersOf(cells);
  // The same two values again and again are one fact, not a regularity.
  if (new Set(numbers.map(([s]) => s)).size < least) return undefined;
  const best = mostFrequent(numbers.map(([s, t]) => t - s));
  return (
    best && {
      seen: best.times,
      what: `are exactly ${best.value < 0n ? '-' : '+'}${plain(magnitude(best.value), scale)}`,
    }
  );
};

const plain = (n: bigint, scale: number): string => {
  if (scale === 0) return String(n);
  const digits = String(n).padStart(scale + 1, '0');
  return `${digits.slice(0, -scale)}.${digits.slice(-scale)}`.replace(/\.?0+$/, '');
};

const swappedColumns = (
  pair: Pair,
  different: readonly Extract<Difference, { kind: 'different' }>[],
): Pattern | undefined => {
  const times = new Map<string, number>();
  for (const d of different) {
    for (const i of d.columns) {
      for (const j of d.columns)
        if (i < j && d.source[i] === d.target[j] && d.source[j] === d.target[i]) {
          const key = `${i} ${j}`;
          times.set(key, (times.get(key) ?? 0) + 1);
        }
    }
  }
  let best: { key: string; seen: number } | undefined;
  for (const [key, seen] of times) if (!best || seen > best.seen) best = { key, seen };
  if (!best || best.seen < least) return undefined;
  const names = best.key.split(' ').map((i) => pair.columns[Number(i)]!.source.name);
  const of = different.length;
  return {
    columns: names,
    message: `${names.join(' and ')}: ${best.seen} of ${of} different rows have the two exchanged`,
    seen: best.seen,
    of,
  };
};

/** Rows missing on one side that the other side has under another key. */
const renumberedKeys = (pair: Pair, differences: readonly Difference[]): Pattern | undefined => {
  const { keyWidth } = pair;
  if (keyWidth === 0 || pair.columns.length === keyWidth) return undefined;
  const content = (row: Row): string => JSON.stringify(row.slice(keyWidth));
  const waiting = new Map<string, number>();
  let missing = 0;
  for (const d of differences) {
    if (d.kind !== 'only_in_source') continue;
    missing++;
    waiting.set(content(d.source), (waiting.get(content(d.source)) ?? 0) + 1);
  }
  let seen = 0;
  for (const d of differences) {
    if (d.kind !== 'only_in_target') continue;
    const left = waiting.get(content(d.target)) ?? 0;
    if (left === 0) continue;
    waiting.set(content(d.target), left - 1);
    seen++;
  }
  if (seen < least || seen < missing * share) return undefined;
  const names = pair.columns.slice(0, keyWidth).map((c) => c.source.name);
  return {
    columns: names,
    message: `${seen} of ${missing} rows missing in the target are there under another ${names.join(', ')}: renumbered keys?`,
    seen,
    of: missing,
    fix: 'Compare by another unique key: --key …',
  };
};
