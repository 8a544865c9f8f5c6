import type { ColumnType } from '../../src/model/schema.ts';

/** A small seeded generator (splitmix64), so that a failing test fails again. */
export interface Seeded {
  uint64(): bigint;
  /** 0 <= n < bound */
  below(bound: number): number;
  pick<T>(from: readonly T[]): T;
}

export const seeded = (name: string): Seeded => {
  let state = 0n;
  for (const c of name) state = (state * 31n + BigInt(c.codePointAt(0)!)) & 0xffffffffffffffffn;
  const uint64 = (): bigint => {
    state = (state + 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & 0xffffffffffffffffn;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & 0xffffffffffffffffn;
    return z ^ (z >> 31n);
  };
  const below = (bound: number): number => Number(uint64() % BigInt(bound));
  return { uint64, below, pick: (from) => from[below(from.length)]! };
};

const bits = new DataView(new ArrayBuffer(8));

const digits = (r: Seeded, length: number): string => Array.from({ length }, () => r.below(10)).join('');

const two = (n: number): string => String(n).padStart(2, '0');

const hostile = [
  '',
  ' ',
  'NULL',
  'a',
  'é',
  '€',
  '😀',
  '\u{10ffff}',
  '\ufeff',
  '\ufffd',
  '\uffff',
  '\ue000',
  '|',
  '\\',
  "'",
  '\t',
  '\n',
  '\u202e',
  '1:',
  'x'.repeat(31),
  'x'.repeat(32),
  'x'.repeat(33),
  'y'.repeat(5000),
];

const date = (r: Seeded): string => {
  const bc = r.below(10) === 0;
  const year =
    r.below(8) === 0 ? 9999 - r.below(3) : r.below(6) === 0 ? 10_000 + r.below(280_000) : 1 + r.below(bc ? 4000 : 3000);
  return `${String(year).padStart(4, '0')}-${two(1 + r.below(12))}-${two(1 + r.below(28))}${bc && year < 4713 ? ' BC' : ''}`;
};

const time = (r: Seeded): string =>
  `${two(r.below(24))}:${two(r.below(60))}:${two(r.below(60))}${r.below(3) === 0 ? '' : `.${digits(r, 1 + r.below(6))}`}`;

const moment = (r: Seeded): string => {
  const day = date(r);
  return day.endsWith(' BC') ? `${day.slice(0, -3)} ${time(r)} BC` : `${day} ${time(r)}`;
};

const moments = [
  'infinity',
  '-infinity',
  '2000-01-01 00:00:00',
  '1999-12-31 23:59:59.999999',
  '9999-12-31 23:59:59.999999',
  '9999-12-31 23:59:59.999998',
  '0001-01-01 00:00:00',
  '0001-12-31 23:59:59.000001 BC',
  '294276-12-31 23:59:59.999999',
  '4714-11-24 00:00:00 BC',
  '1970-01-01 00:00:00',
  '2024-02-29 12:00:00.5',
];

/** `count` texts of values of a kind: the extremes first, then random ones. */
export const valuesOf = (type: ColumnType, r: Seeded, count: number): string[] => {
  const extremes: readonly string[] = count > 100 ? extremesOf(type) : [];
  const out = [...extremes];
  while (out.length < count) out.push(randomOf(type, r));
  return out;
};

const extremesOf = (type: ColumnType): readonly string[] => {
  switch (type.kind) {
    case 'int':
      return [
        '0',
        '1',
        '-1',
        '140',
        String(140n << 32n),
        '9007199254740993',
        '9223372036854775807',
        '-9223372036854775808',
        '-9223372036854775807',
        '4294967295',
        '4294967296',
        '-4294967296',
        '999999999999999',
        '1000000000000000',
        '-999999999999999',
        '-1000000000000000',
      ];
    case 'decimal':
      return [
        '0',
        '1',
        '10000',
        '0.0001',
        '-1',
        '-10000',
        '99999999',
        '123456789012345678901234567890.123456',
        '0.00000000000000000001',
        `1${'0'.repeat(69)}`,
        'NaN',
        'Infinity',
        '-Infinity',
        '9'.repeat(6000),
        `0.${'0'.repeat(5000)}7`,
        '5.00',
        '-5.00',
      ];
    case 'float':
      return type.bits === 64
        ? [
            '0',
            '-0',
            '0.1',
            '1e23',
            '5e-324',
            '1.7976931348623157e308',
            '-1.7976931348623157e308',
            'NaN',
            'Infinity',
            '-Infinity',
          ]
        : ['0', '-0', '0.1', '3.4028234663852886e+38', '1.401298464324817e-45', 'NaN', 'Infinity', '-Infinity'];
    case 'text':
      return hostile;
    case 'bytes':
      return ['', '00', 'ff', '00'.repeat(12), 'deadbeef'.repeat(600)];
    case 'date':
      return [
        'infinity',
        '-infinity',
        '2000-01-01',
        '0001-01-01',
        '0001-12-31 BC',
        '4714-11-24 BC',
        '9999-12-31',
        '5874897-12-31',
        '2024-02-29',
      ];
    case 'time':
      return ['00:00:00', '24:00:00', '23:59:59.999999', '00:00:00.000001'];
    case 'timestamp':
    case 'instant':
      return moments;
    default:
      return [];
  }
};

const randomOf = (type: ColumnType, r: Seeded): string => {
  switch (type.kind) {
    case 'int':
      return String(BigInt.asIntN(1 + r.below(64), r.uint64()));
    case 'decimal':
      return `${r.pick(['', '-'])}${digits(r, 1 + r.below(r.pick([4, 9, 40])))}${r.pick(['', '.', `.${digits(r, 1 + r.below(25))}`, '.0000'])}`;
    case 'float':
      bits.setBigUint64(0, r.uint64());
      return String(type.bits === 64 ? bits.getFloat64(0) : bits.getFloat32(0));
    case 'bool':
      return r.pick(['true', 'false']);
    case 'uuid': {
      const hex = (r.uint64() | (1n << 64n)).toString(16).slice(1) + (r.uint64() | (1n << 64n)).toString(16).slice(1);
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    }
    case 'bit':
      return Array.from({ length: r.below(70) }, () => r.below(2)).join('');
    case 'bytes':
      return Buffer.from(Array.from({ length: r.below(60) }, () => r.below(256))).toString('hex');
    case 'date':
      return date(r);
    case 'time':
      return time(r);
    case 'timestamp':
    case 'instant':
      return moment(r);
    default:
      return Array.from({ length: r.below(12) }, () => r.pick(hostile.slice(0, -4))).join('');
  }
};
