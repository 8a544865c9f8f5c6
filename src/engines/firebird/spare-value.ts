import { randomBytes } from 'node:crypto';
import type { Text } from '../../model/row.ts';
import type { Column } from '../../model/schema.ts';

/** A canonical value for a unique column that no row has: NULL where it may be, else something random of its kind. */
export const spareValue = (column: Column): Text | null | undefined => {
  if (column.nullable) return null;
  const random = randomBytes(16);
  const { type } = column;
  const text = (value: string): Text => value as Text;
  switch (type.kind) {
    case 'int':
      return text(String(-BigInt(random.readUInt32BE() % (type.bits === 16 ? 30_000 : 2_000_000_000)) - 1n));
    case 'decimal':
      return text(
        String(-BigInt(random.readUInt32BE() % 10 ** Math.min(9, (type.precision ?? 9) - (type.scale ?? 0)))),
      );
    case 'float':
      return text(String(random.readInt32BE()));
    case 'text':
      return text(random.toString('hex').slice(0, type.maxLength ?? 32));
    case 'uuid': {
      const h = random.toString('hex');
      return text(`${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`);
    }
    case 'timestamp':
      return text(
        `9${String(random.readUInt16BE() % 1000).padStart(3, '0')}-01-01 00:00:00.${String(1 + (random.readUInt16BE() % 9998)).padStart(4, '0')}`,
      );
    case 'date':
      return text(`9${String(random.readUInt16BE() % 1000).padStart(3, '0')}-01-01`);
    default:
      return undefined;
  }
};
