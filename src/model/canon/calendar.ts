/**
 * Days since 2000-01-01 of a date of the proleptic Gregorian calendar; `year` is astronomical (0 is 1 BC).
 * Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
 */
export const dayNumber = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const ofEra = y - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear;
  return era * 146_097 + dayOfEra - 730_425;
};

/** The date of a day number, canonical: `YYYY-MM-DD`, with ` BC` before year 1 (civil_from_days of the same source). */
export const dateOfDay = (days: number): { readonly date: string; readonly bc: boolean } => {
  const z = days + 730_425;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const ofEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const ofYear = dayOfEra - (365 * ofEra + Math.floor(ofEra / 4) - Math.floor(ofEra / 100));
  const shifted = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = ofEra + era * 400 + (month <= 2 ? 1 : 0);
  const bc = year < 1;
  const shown = bc ? 1 - year : year;
  return { date: `${String(shown).padStart(4, '0')}-${two(month)}-${two(day)}`, bc };
};

export const two = (n: number): string => (n < 10 ? `0${n}` : String(n));

const lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

export const isDate = (year: number, month: number, day: number): boolean =>
  month >= 1 &&
  month <= 12 &&
  day >= 1 &&
  (day <= lengths[month - 1]! ||
    (month === 2 && day === 29 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)));

const digit = (text: string, i: number): number => {
  const d = text.charCodeAt(i) - 48;
  return d >= 0 && d <= 9 ? d : 10_000;
};

/** The number of two digits at `i`; 10,000 or more when they are none. */
export const pair = (text: string, i: number): number => digit(text, i) * 10 + digit(text, i + 1);

/** Day number of a plain `YYYY-MM-DD` at the start of `text`, year 1 to 9999; NaN when there is none. */
export const plainDay = (text: string): number => {
  const year = pair(text, 0) * 100 + pair(text, 2);
  const month = pair(text, 5);
  const day = pair(text, 8);
  if (year < 1 || year > 9999 || text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return Number.NaN;
  if (!isDate(year, month, day)) return Number.NaN;
  // dayNumber for years that are not negative: divisions of small integers.
  const y = month <= 2 ? year - 1 : year;
  const ofYear = (((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) | 0) + day - 1;
  return y * 365 + (y >> 2) - ((y / 100) | 0) + ((y / 400) | 0) + ofYear - 730_425;
};

/** A moment on the calendar: whole seconds since 2000-01-01 00:00:00 and microseconds after them, 0..999,999. */
export interface Moment {
  readonly seconds: number;
  readonly micros: number;
  /** Seconds east of UTC as written; undefined when the text names no offset. */
  readonly offset: number | undefined;
}

const general =
  /^(\d{4,7})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?: ?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?))?)?( BC)?$/i;

/** Microseconds of the digits after the point; undefined when there are more than six that count. */
export const fractionMicros = (digits: string | undefined): number | undefined => {
  if (digits === undefined) return 0;
  if (digits.length > 6 && /[1-9]/.test(digits.slice(6))) return undefined;
  return Number(digits.slice(0, 6).padEnd(6, '0'));
};

const offsetSeconds = (text: string): number | undefined => {
  if (text === 'Z' || text === 'z') return 0;
  const digits = text.slice(1).replaceAll(':', '');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2, 4));
  const seconds = Number(digits.slice(4, 6));
  if (hours > 15 || minutes > 59 || seconds > 59) return undefined;
  return (text[0] === '-' ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
};

/**
 * Reads a date with or without a time (ISO 8601 with `T` or a blank, PostgreSQL's ` BC`). Year 0, a 31st of February,
 * second 60 and more than six digits of a second's fraction are not guessed: undefined.
 */
export const parseMoment = (text: string): Moment | undefined => {
  const m = general.exec(text);
  if (m === null) return undefined;
  const written = Number(m[1]);
  const year = m[9] === undefined ? written : 1 - written;
  if (written === 0 || !isDate(year, Number(m[2]), Number(m[3]))) return undefined;
  const hour = Number(m[4] ?? 0);
  const minute = Number(m[5] ?? 0);
  const second = Number(m[6] ?? 0);
  const micros = fractionMicros(m[7]);
  if (micros === undefined || minute > 59 || second > 59 || hour > 24) return undefined;
  if (hour === 24 && (minute !== 0 || second !== 0 || micros !== 0)) return undefined;
  const offset = m[8] === undefined ? undefined : offsetSeconds(m[8]);
  if (m[8] !== undefined && offset === undefined) return undefined;
  const days = dayNumber(year, Number(m[2]), Number(m[3]));
  return { seconds: days * 86_400 + hour * 3600 + minute * 60 + second, micros, offset };
};

/** `.5` for 500,000 microseconds, without trailing zeros; empty for none. */
export const fractionText = (micros: number): string => {
  if (micros === 0) return '';
  const digits = String(micros).padStart(6, '0');
  let end = 6;
  while (digits.charCodeAt(end - 1) === 48) end--;
  return `.${digits.slice(0, end)}`;
};

/** What PostgreSQL can hold, in seconds since 2000: 4714-11-24 BC to the end of 294276. */
const firstSecond = dayNumber(-4713, 11, 24) * 86_400;
const endSecond = dayNumber(294_277, 1, 1) * 86_400;

/** Canonical timestamp of a moment; undefined outside of what a 64-bit count of microseconds holds. */
export const momentText = (seconds: number, micros: number): string | undefined => {
  if (seconds < firstSecond || seconds >= endSecond) return undefined;
  const days = Math.floor(seconds / 86_400);
  const { date, bc } = dateOfDay(days);
  return `${date} ${clockText(seconds - days * 86_400, micros)}${bc ? ' BC' : ''}`;
};

/** `HH:MM:SS[.f]` of a second of the day. */
export const clockText = (second: number, micros: number): string => {
  const hour = Math.floor(second / 3600);
  const minute = Math.floor(second / 60) % 60;
  return `${two(hour)}:${two(minute)}:${two(second % 60)}${fractionText(micros)}`;
};

/** `infinity` or `-infinity`, in any case; undefined for anything else. */
export const endless = (raw: string): 'infinity' | '-infinity' | undefined => {
  if (raw.length > 9) return undefined;
  const lower = raw.toLowerCase();
  return lower === 'infinity' || lower === '-infinity' ? lower : undefined;
};

export const endlessSign = (text: string): -1 | 0 | 1 => (text === 'infinity' ? 1 : text === '-infinity' ? -1 : 0);
