import type { WrittenRetention } from './retention-schema.ts';
import type { ReadSection } from './server.ts';

/** How long ended runs are remembered, milliseconds; undefined: for ever. */
export interface Retention {
  /** Those that found nothing. */
  readonly quiet: number | undefined;
  /** Others that wrote nothing. */
  readonly runs: number | undefined;
  /** Those that wrote: without their journal they cannot be reverted or explained. */
  readonly changes: number | undefined;
}

const day = 86_400_000;
/** Whoever looks at a run that has just ended finds it. */
const least = 60_000;

/** What is written, with its defaults. */
export const retentionOf = (written: WrittenRetention | undefined, read: ReadSection): Retention => {
  const ms = (key: keyof WrittenRetention & string, usual: number | undefined): number | undefined => {
    const value = written?.[key];
    if (value === undefined) return usual;
    if (value === false) return undefined;
    const found = read.duration(value, [key]);
    if (found >= least) return found;
    throw read.wrong([key], 'expected at least 1m', 'false keeps them for ever.');
  };
  return { quiet: ms('quiet', day), runs: ms('runs', 90 * day), changes: ms('changes', undefined) };
};
