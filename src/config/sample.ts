import type { ConfigDocument } from './places.ts';
import { parseShare } from './units.ts';
import { configError } from './validate.ts';

type Path = readonly PropertyKey[];

/** A migration copies whole tables. Throws CONFIG. */
export const checkWhole = (
  sync: {
    readonly mode?: string | undefined;
    readonly sample?: unknown;
    readonly pairs?: readonly unknown[] | undefined;
  },
  document: ConfigDocument,
  path: Path,
): void => {
  if (sync.mode !== 'migrate') return;
  const at = (sync.pairs ?? []).findIndex((pair) => typeof pair === 'object' && pair !== null && 'sample' in pair);
  if (sync.sample === undefined && at < 0) return;
  throw configError(
    document,
    sync.sample === undefined ? [...path, 'pairs', at, 'sample'] : [...path, 'sample'],
    'mode: migrate copies whole tables: there is no sample of them',
    { hint: 'Choose another mode for the pilot, for example upsert, over tables that are there.' },
  );
};

/** The share of the keys that a pilot looks at, 0 < share <= 1. Throws CONFIG. */
export const sampleShare = (written: string | number, document: ConfigDocument, path: Path): number => {
  const share = parseShare(written);
  if (share !== undefined && share > 0) return share;
  throw configError(document, path, `${path.map(String).join('.')}: expected a percentage above 0% and up to 100%`, {
    hint: 'Write 5%, widen it as you come to trust the result, and leave it out when all rows are meant.',
  });
};
