import { setFlagsFromString } from 'node:v8';

/**
 * Keeps the young generation of this process's heap small: rows that stream through live for one batch, and V8's
 * default lets their garbage grow to hundreds of MB. Smaller than this, rows are taken for old ones while they are still
 * used: a stream of rows as texts then spends a quarter of its time on them.
 */
export const keepYoungHeapSmall = (): void => {
  setFlagsFromString('--max-semi-space-size=8');
  setFlagsFromString('--semi-space-growth-factor=2');
};
