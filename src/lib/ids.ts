import { randomBytes } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** A short sortable id such as `r_06dq2k8v4m7x3w`: milliseconds first, then 40 random bits; prefix names the kind. */
export const newId = (prefix: string, nowMs: number): string => {
  let time = '';
  for (let t = nowMs, i = 0; i < 9; i++, t = Math.floor(t / 32)) time = alphabet[t % 32] + time;
  let tail = '';
  for (const byte of randomBytes(8)) tail += alphabet[byte & 31];
  return `${prefix}_${time}${tail}`;
};

/** A random 64-bit seed. */
export const randomSeed = (): bigint => randomBytes(8).readBigUInt64BE();
