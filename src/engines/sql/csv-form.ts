import type { ColumnType } from '../../model/schema.ts';

/**
 * Rows as CSV in UTF-8: columns between commas, rows ended by LF, NULL an empty unquoted cell, texts in double quotes,
 * bytes as `\x` and hex digits, numbers as digits. Only the types that a server reads so without changing a value.
 */
const label = (type: ColumnType): string | undefined => {
  switch (type.kind) {
    case 'int':
      return `int${type.bits}`;
    case 'bool':
    case 'uuid':
    case 'bytes':
    case 'date':
      return type.kind;
    case 'decimal':
      return `decimal ${type.precision ?? ''} ${type.scale ?? ''}`;
    case 'float':
      return type.bits === 64 ? 'float64' : undefined;
    case 'text':
      return type.padded ? undefined : `text ${type.maxLength ?? ''}`;
    case 'timestamp':
      return type.fraction === 6 ? 'timestamp' : undefined;
    default:
      return undefined;
  }
};

const begin = 'csv ';

/** The name of the form for columns of these types; undefined: it cannot say them. The same name means the same rows. */
export const csvForm = (types: readonly ColumnType[]): string | undefined => {
  const labels = types.map(label);
  return labels.length === 0 || labels.includes(undefined) ? undefined : `${begin}${JSON.stringify(labels)}`;
};

export const isCsv = (form: string): boolean => form.startsWith(begin);
