import { endless, endlessSign, momentText, pair, parseMoment, plainDay } from './calendar.ts';

/** Seconds of the day of `HH:MM:SS` at place 11; NaN when it is none. */
const plainClock = (text: string): number => {
  const hour = pair(text, 11);
  const minute = pair(text, 14);
  const second = pair(text, 17);
  if (hour > 23 || minute > 59 || second > 59 || text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58)
    return Number.NaN;
  return hour * 3600 + minute * 60 + second;
};

/** Digits of a canonical fraction from place 20 as microseconds; NaN when they are not canonical. */
const plainFraction = (text: string): number => {
  const length = text.length;
  if (length === 19) return 0;
  if (length > 26 || length < 21 || text.charCodeAt(19) !== 46 || text.charCodeAt(length - 1) === 48) return Number.NaN;
  let micros = 0;
  for (let i = 20; i < 26; i++) {
    const d = i < length ? text.charCodeAt(i) - 48 : 0;
    if (d < 0 || d > 9) return Number.NaN;
    micros = micros * 10 + d;
  }
  return micros;
};

const isPlain = (text: string): boolean =>
  text.length >= 19 &&
  text.charCodeAt(10) === 32 &&
  !Number.isNaN(plainDay(text) + plainClock(text) + plainFraction(text));

const read = (raw: string, zoned: boolean): string | undefined => {
  if (isPlain(raw)) return raw;
  const end = endless(raw);
  if (end !== undefined) return end;
  const moment = parseMoment(raw);
  if (moment === undefined) return undefined;
  const offset = moment.offset ?? 0;
  // A local time that names another offset than UTC is not the local time of anything we know.
  if (!zoned && offset !== 0) return undefined;
  return momentText(moment.seconds - offset, moment.micros);
};

/** Canonical timestamp; `Z` or an offset of zero may follow. A date alone is midnight. Undefined for anything else. */
export const timestampText = (raw: string): string | undefined => read(raw, false);

/** Canonical instant: the timestamp in UTC. A text without an offset is in UTC; a bare number is never guessed. */
export const instantText = (raw: string): string | undefined => read(raw, true);

/** Where `timestampParts` leaves seconds since 2000-01-01 and microseconds after them. */
export const parts = { seconds: 0, micros: 0 };

/** Splits a canonical timestamp or instant into `parts`; returns the sign of an endless one instead, else 0. */
export const timestampParts = (text: string): -1 | 0 | 1 => {
  if (text.length >= 19 && text.charCodeAt(10) === 32) {
    const seconds = plainDay(text) * 86_400 + plainClock(text);
    const micros = plainFraction(text);
    if (!Number.isNaN(seconds + micros)) {
      parts.seconds = seconds;
      parts.micros = micros;
      return 0;
    }
  }
  const sign = endlessSign(text);
  if (sign !== 0) return sign;
  const moment = parseMoment(text)!;
  parts.seconds = moment.seconds;
  parts.micros = moment.micros;
  return 0;
};

const short = (text: string): boolean => text.charCodeAt(4) === 45 && text.charCodeAt(text.length - 1) !== 67;

/** Order of canonical timestamps and instants: by time. */
export const compareTimestamps = (a: string, b: string): number => {
  if (a === b) return 0;
  // Four-digit years of our era (no `BC` at the end): the texts order as the times do.
  if (short(a) && short(b)) return a < b ? -1 : 1;
  const signA = timestampParts(a);
  const { seconds, micros } = parts;
  const signB = timestampParts(b);
  if (signA !== signB) return signA - signB;
  return seconds - parts.seconds || micros - parts.micros;
};
