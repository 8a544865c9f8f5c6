import { clockText, fractionMicros } from './calendar.ts';

const canonicalForm = /^(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{0,5}[1-9])?$/;
const general = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?$/;

/** Canonical time of day, 00:00:00 to 24:00:00; seconds may be missing, an offset may not be there. */
export const timeText = (raw: string): string | undefined => {
  if (canonicalForm.test(raw)) return raw;
  const m = general.exec(raw);
  if (m === null) return undefined;
  const micros = fractionMicros(m[4]);
  const minute = Number(m[2]);
  const second = Number(m[3] ?? 0);
  const total = Number(m[1]) * 3600 + minute * 60 + second;
  if (micros === undefined || minute > 59 || second > 59 || total * 1e6 + micros > 86_400e6) return undefined;
  return clockText(total, micros);
};

/** Microseconds since midnight of a canonical time. */
export const timeMicros = (text: string): number => {
  const seconds = Number(text.slice(0, 2)) * 3600 + Number(text.slice(3, 5)) * 60 + Number(text.slice(6, 8));
  return seconds * 1e6 + (text.length > 8 ? Number(text.slice(9).padEnd(6, '0')) : 0);
};
