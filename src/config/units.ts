import { LockstepError } from '../model/errors.ts';

const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `5s`, `100ms`, `2m`, `1.5h`, `7d`. */
export const durationPattern = /^\d+(\.\d+)?(ms|s|m|h|d)$/;
/** `1%`, `0.5%`, or a fraction from 0 to 1 written as text. */
export const percentPattern = /^\d+(\.\d+)?%$/;

/** Milliseconds of `5s`, `100ms`, `2m`, `1.5h`, `7d`; undefined when it is none of these. 0 needs no unit. */
export const parseDuration = (text: string | number): number | undefined => {
  if (text === 0 || text === '0') return 0;
  if (typeof text !== 'string' || !durationPattern.test(text)) return undefined;
  const unit = /[a-z]+$/.exec(text)![0];
  return Math.round(Number.parseFloat(text) * factors[unit]!);
};

/** The share that `1%` or `0.01` means: 0..1; undefined when it is neither. */
export const parseShare = (value: string | number): number | undefined => {
  if (typeof value === 'number') return value >= 0 && value <= 1 ? value : undefined;
  if (!percentPattern.test(value)) return undefined;
  const share = Number.parseFloat(value) / 100;
  return share <= 1 ? share : undefined;
};

/** A duration given by hand; throws USAGE naming the flag. `such`: what it usually is. */
export const durationFlag = (flag: string, text: string, such = '500ms, 5s, 2m or 1h'): number => {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new LockstepError('USAGE', `${flag} ${text}: not a duration`, { hint: `Write ${such}.` });
};
