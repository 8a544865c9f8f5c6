import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Keeps the heap of this process small, for rows that stream through: they live for one batch.
 *
 * The young generation: V8's default lets their garbage grow to hundreds of MB, the buffers that hang on it above all.
 * Measured over a million rows of SQLite: 230 MB, with 4 or 8 MB that may grow 420 MB. Rows of texts (Firebird) cost a
 * fifth more time for it.
 *
 * The old one, where rows end up that outlive two batches, as those that wait for their look-ups do: by default it is
 * collected at about four times what is alive in it. Measured over two-way runs of a million rows that had all changed: 321 MB,
 * and 218 MB where it is collected at one and a half.
 */
export const keepHeapSmall = (): void => {
  setFlagsFromString('--max-semi-space-size=4');
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=50');
};

/** Collects everything once. The first limit of the old generation, about 100 MB, stands until that has been done. */
export const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  setFlagsFromString('--no-expose-gc');
};

/**
 * For a process that answers requests, and streams no rows: each collection copies what all requests in hand hold, so
 * there should be few of them. One thread does it: several that share so little work spend most of it on each other, which
 * with 1,000 clients took a third of the processor time of an answer.
 */
export const letHeapGrow = (): void => {
  setFlagsFromString('--max-semi-space-size=64');
  setFlagsFromString('--semi-space-growth-factor=2');
  setFlagsFromString('--heap-growing-percent=0');
  setFlagsFromString('--no-parallel-scavenge');
};
