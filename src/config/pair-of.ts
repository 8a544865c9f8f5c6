import type { Tolerance } from '../model/pair.ts';
import type { ConflictPolicy } from '../model/policy.ts';
import type { ColumnSteps, Validation } from './column-schema.ts';
import type { PairEntry } from './config.ts';
import { keptApart } from './conflict.ts';
import { pairTypesOf } from './copy-types.ts';
import type { Path, Reading } from './read-value.ts';
import { sampleShare } from './sample.ts';
import type { ConfigFile } from './schema.ts';
import { concealedOf } from './stored.ts';
import type { WrittenColumnStore } from './stored-schema.ts';
import { transformOf } from './transform-of.ts';

type FilePair = NonNullable<NonNullable<ConfigFile['syncs']>[string]['pairs']>[number];

/** The tolerance that `0.01`, `"0.01"` or `{ fraction: 3, trim: true }` means. */
const toleranceOf = (value: unknown): Tolerance => {
  if (typeof value === 'number' || typeof value === 'string') return { numeric: plainNumber(value) };
  const t = value as {
    numeric?: number | string;
    fraction?: number;
    ignore_case?: boolean;
    trim?: boolean;
    null_equals_empty?: boolean;
  };
  return {
    ...(t.numeric === undefined ? {} : { numeric: plainNumber(t.numeric) }),
    ...(t.fraction === undefined ? {} : { fraction: t.fraction }),
    ...(t.ignore_case ? { ignoreCase: true as const } : {}),
    ...(t.trim ? { trim: true as const } : {}),
    ...(t.null_equals_empty ? { nullEqualsEmpty: true as const } : {}),
  };
};

/** Decimal text without an exponent: JavaScript prints 0.0000001 as 1e-7. */
const plainNumber = (value: number | string): string => {
  const text = String(value);
  if (!/e/i.test(text)) return text;
  return Number(text)
    .toFixed(20)
    .replace(/\.?0+$/, '');
};

/** A pair as it is used: a name alone, or what is said of its columns. */
export const pairOf = (r: Reading, pair: FilePair, path: Path, policy: ConflictPolicy | undefined): PairEntry => {
  const conflict = policy === undefined ? {} : { conflict: policy };
  if (typeof pair === 'string') return { source: pair, map: {}, exclude: [], tolerances: {}, ...conflict };
  const p = pair as Exclude<FilePair, string> & {
    source: string;
    target?: string;
    key?: string[] | Record<string, string>;
    columns?: Record<string, ({ to?: string; tolerance?: unknown; store?: WrittenColumnStore } & ColumnSteps) | null>;
    validate?: Validation;
    only?: string[];
    exclude?: string[];
    where?: string | { source?: string; target?: string };
    sample?: string | number;
  };
  const columns = Object.entries(p.columns ?? {});
  const map = Object.fromEntries(columns.flatMap(([from, c]) => (c?.to === undefined ? [] : [[from, c.to]])));
  const key =
    p.key === undefined
      ? undefined
      : Array.isArray(p.key)
        ? p.key.map((k) => [k, map[k] ?? k] as const)
        : Object.entries(p.key);
  const where = typeof p.where === 'string' ? { source: p.where, target: p.where } : p.where;
  const types = pairTypesOf(p.columns, r.document, path);
  const transform = transformOf(p.columns, p.validate, r.document, path);
  return {
    source: p.source,
    ...(p.target === undefined ? {} : { target: p.target }),
    ...(key === undefined ? {} : { key }),
    map,
    ...(p.only === undefined ? {} : { only: p.only }),
    exclude: p.exclude ?? [],
    tolerances: {
      ...Object.fromEntries(
        columns.flatMap(([from, c]) => (c?.tolerance === undefined ? [] : [[from, toleranceOf(c.tolerance)]])),
      ),
      ...keptApart(pair),
    },
    ...(where === undefined ? {} : { where }),
    ...(p.sample === undefined ? {} : { sample: sampleShare(p.sample, r.document, [...path, 'sample']) }),
    ...(Object.keys(types).length === 0 ? {} : { types }),
    ...concealedOf(p.columns),
    ...(transform === undefined ? {} : { transform }),
    ...conflict,
  };
};
