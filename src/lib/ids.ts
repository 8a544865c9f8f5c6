import { randomBytes } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

let pool = Buffer.alloc(0);
let used = 0;

/** Random bytes out of a stock: asking the system for a few costs as much as asking for thousands. */
const someBytes = (count: number): Buffer => {
  if (used + count > pool.length) {
    pool = randomBytes(4096);
    used = 0;
  }
  used += count;
  return pool.subarray(used - count, used);
};

let timed = { ms: Number.NaN, text: '' };

/** Nine characters of the time: what is made within a millisecond shares them. */
const timeOf = (ms: number): string => {
  if (timed.ms === ms) return timed.text;
  let text = '';
  for (let t = ms, i = 0; i < 9; i++, t = Math.floor(t / 32)) text = alphabet[t % 32] + text;
  timed = { ms, text };
  return text;
};

/** A short sortable id such as `r_06dq2k8v4m7x3w`: milliseconds first, then 40 random bits; prefix names the kind. */
export const newId = (prefix: string, nowMs: number): string => {
  let tail = '';
  for (const byte of someBytes(8)) tail += alphabet[byte & 31];
  return `${prefix}_${timeOf(nowMs)}${tail}`;
};

/** When it was made. */
export const timeOfId = (id: string): number =>
  [...id.slice(id.indexOf('_') + 1, id.indexOf('_') + 10)].reduce((ms, c) => ms * 32 + alphabet.indexOf(c), 0);

/** A random 64-bit seed. */
export const randomSeed = (): bigint => randomBytes(8).readBigUInt64BE();
