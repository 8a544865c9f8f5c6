import type { ColumnType } from '../model/schema.ts';
import type { ColumnSteps } from './column-schema.ts';
import type { ConfigDocument } from './places.ts';
import { typeAt } from './transform-of.ts';

type Path = readonly PropertyKey[];

/** Declared types by `table.column` of the source. Throws CONFIG. */
export const typesOf = (
  types: Readonly<Record<string, string>> | undefined,
  document: ConfigDocument,
  path: Path,
): ReadonlyMap<string, ColumnType> =>
  new Map(Object.entries(types ?? {}).map(([name, word]) => [name, typeAt(word, document, [...path, name])] as const));

/** Declared types of a pair, by source column. Throws CONFIG. */
export const pairTypesOf = (
  columns: Readonly<Record<string, Pick<ColumnSteps, 'type'> | null>> | undefined,
  document: ConfigDocument,
  path: Path,
): Readonly<Record<string, ColumnType>> =>
  Object.fromEntries(
    Object.entries(columns ?? {}).flatMap(([name, c]) =>
      c?.type === undefined ? [] : [[name, typeAt(c.type, document, [...path, 'columns', name, 'type'])] as const],
    ),
  );
