import { dateOfDay, dayNumber, endless, endlessSign, parseMoment, plainDay } from './calendar.ts';

/** What PostgreSQL's date can hold: 4714-11-24 BC to 5874897-12-31. */
const firstDay = dayNumber(-4713, 11, 24);
const lastDay = dayNumber(5_874_897, 12, 31);

/** Canonical date; a timestamp at midnight without an offset is read as its date. Undefined for anything else. */
export const dateText = (raw: string): string | undefined => {
  if (raw.length === 10 && !Number.isNaN(plainDay(raw))) return raw;
  const end = endless(raw);
  if (end !== undefined) return end;
  const moment = parseMoment(raw);
  if (moment === undefined || moment.offset !== undefined || moment.micros !== 0) return undefined;
  const days = moment.seconds / 86_400;
  if (!Number.isInteger(days) || days < firstDay || days > lastDay) return undefined;
  const { date, bc } = dateOfDay(days);
  return bc ? `${date} BC` : date;
};

/** Days since 2000-01-01 of a canonical date; ±Infinity for the endless ones. */
export const dateDays = (text: string): number => {
  if (text.length === 10) {
    const days = plainDay(text);
    if (!Number.isNaN(days)) return days;
  }
  const sign = endlessSign(text);
  return sign === 0 ? parseMoment(text)!.seconds / 86_400 : sign * Number.POSITIVE_INFINITY;
};

const isPlain = (text: string): boolean => text.length === 10 && text.charCodeAt(4) === 45;

/** Order of canonical dates: by time. */
export const compareDates = (a: string, b: string): number => {
  if (a === b) return 0;
  if (isPlain(a) && isPlain(b)) return a < b ? -1 : 1;
  return dateDays(a) < dateDays(b) ? -1 : 1;
};
