import { momentText } from '../model/canon/calendar.ts';
import { parts, timestampParts } from '../model/canon/timestamp.ts';
import type { Cell, Text } from '../model/row.ts';
import type { ColumnType } from '../model/schema.ts';
import type { Epoch } from '../model/transform.ts';
import { Decimal } from './decimal.ts';
import { Invalid, quoted, toValue } from './value.ts';

/** 2000-01-01, where our moments begin, in seconds since 1970. */
const begin = 946_684_800n;
const million = 1_000_000n;
/** Years 1 to 9999, in seconds since 1970: what every engine holds, and no number of another kind. */
const first = -62_135_596_800n;
const last = 253_402_300_799n;

const microsPer: Readonly<Record<Epoch, bigint>> = { epoch_s: million, epoch_ms: 1000n };
const words: Readonly<Record<Epoch, string>> = {
  epoch_s: 'seconds since 1970',
  epoch_ms: 'milliseconds since 1970',
};

const numberOf = (cell: Text, name: string, type: ColumnType): Decimal => {
  const value = toValue(cell, name, type);
  if (value instanceof Decimal) return value;
  if (typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value)) return Decimal.of(value);
  throw new Invalid(`${name} is ${quoted(cell)}, which is no number`);
};

/** A number of seconds or milliseconds since 1970 as the moment it stands for. Throws Invalid when it stands for none. */
export const momentOfEpoch = (cell: Cell, name: string, type: ColumnType, unit: Epoch): Cell => {
  if (cell === null) return null;
  const number = numberOf(cell, name, type);
  const exact = number.times(new Decimal(microsPer[unit], 0));
  const micros = exact.truncated();
  if (micros.compare(exact) !== 0) throw new Invalid(`${name} is ${number}: a moment has no more than microseconds`);
  const all = micros.digits;
  const rest = ((all % million) + million) % million;
  const seconds = (all - rest) / million;
  if (seconds < first || seconds > last)
    throw new Invalid(`${name} is ${number}: as ${words[unit]} that is not in the years 1 to 9999`);
  return momentText(Number(seconds - begin), Number(rest)) as Text;
};

/** A moment as the number of seconds or milliseconds since 1970, with a fraction where it has one. Throws Invalid. */
export const epochOfMoment = (cell: Cell, name: string, type: ColumnType, unit: Epoch): Cell => {
  if (cell === null) return null;
  if (type.kind !== 'instant' && type.kind !== 'timestamp' && type.kind !== 'date')
    throw new Invalid(`${name} is ${quoted(cell)}, which is no time`);
  const moment = toValue(cell, name, type);
  const text = type.kind === 'date' ? `${String(moment)} 00:00:00` : String(moment);
  if (timestampParts(text) !== 0) throw new Invalid(`${name} is ${quoted(cell)}, which has no number`);
  const micros = (BigInt(parts.seconds) + begin) * million + BigInt(parts.micros);
  return String(new Decimal(micros, 0).dividedBy(new Decimal(microsPer[unit], 0))) as Text;
};

/** The type of what `momentOfEpoch` gives. */
export const epochMoment: ColumnType = { kind: 'instant', fraction: 6 };
