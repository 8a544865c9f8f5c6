import type { ColumnType } from '../model/schema.ts';
import type { ColumnSettings, Literal, LookupSettings, RuleSettings, TransformSettings } from '../model/transform.ts';
import type { ColumnSteps, Validation } from './column-schema.ts';
import { namedType } from './column-type.ts';
import type { ConfigDocument } from './places.ts';
import { configError } from './validate.ts';

type Path = readonly PropertyKey[];
type Scalar = string | number | boolean;

/** A number as it was written, without an exponent. */
const plainNumber = (n: number): string => {
  const text = String(n);
  return /e/.test(text) ? n.toFixed(20).replace(/\.?0+$/, '') : text;
};
const textOf = (value: Scalar): string => (typeof value === 'number' ? plainNumber(value) : String(value));
/** A value as it is written, as text. Null: SQL NULL. */
export const literalOf = (value: Scalar | null): Literal => (value === null ? null : textOf(value));

const lookupOf = (lookup: NonNullable<ColumnSteps['lookup']>): LookupSettings => ({
  endpoint: lookup.endpoint ?? 'source',
  table: lookup.table,
  by: lookup.by,
  value: lookup.value,
  missing: lookup.missing ?? 'quarantine',
});

const unmappedOf = (steps: ColumnSteps, document: ConfigDocument, path: Path): Pick<ColumnSettings, 'unmapped'> => {
  const { map, otherwise, unmapped } = steps;
  const given = otherwise === undefined ? 'unmapped' : 'otherwise';
  if (map === undefined && (otherwise !== undefined || unmapped !== undefined))
    throw configError(document, [...path, given], `\`${given}\` needs a map`, { of: 'key' });
  if (otherwise !== undefined && unmapped !== undefined)
    throw configError(document, [...path, 'unmapped'], '`otherwise` and `unmapped` answer the same question', {
      of: 'key',
      hint: 'Keep one of them.',
    });
  if (otherwise !== undefined) return { unmapped: { value: literalOf(otherwise) } };
  return unmapped === undefined ? {} : { unmapped };
};

/** A type by its word. Throws CONFIG for a decimal with more digits behind its point than it has. */
export const typeAt = (word: string, document: ConfigDocument, path: Path): ColumnType => {
  const type = namedType(word);
  if (type !== undefined) return type;
  throw configError(document, path, `${word} is no type: it has more digits behind its point than in all`);
};

/** Undefined: the column is compared as it is stored. */
const columnOf = (steps: ColumnSteps, document: ConfigDocument, path: Path): ColumnSettings | undefined => {
  const { value, expr, transform, lookup, map, default: fallback, type } = steps;
  if (steps.as !== undefined && type !== undefined)
    throw configError(document, [...path, 'type'], '`as` and `type` answer the same question', {
      of: 'key',
      hint: 'Keep `as` to compare the column as that type, `type` to let a copy make it so.',
    });
  const settings: ColumnSettings = {
    ...(value === undefined ? {} : { constant: { value: literalOf(value) } }),
    ...(expr === undefined ? {} : { expr }),
    ...(transform === undefined ? {} : { transform }),
    ...(lookup === undefined ? {} : { lookup: lookupOf(lookup) }),
    ...(steps.from === undefined ? {} : { from: steps.from }),
    ...(steps.into === undefined ? {} : { into: steps.into }),
    ...(map === undefined
      ? {}
      : { map: new Map(Object.entries(map).map(([from, to]) => [from, literalOf(to)] as const)) }),
    ...unmappedOf(steps, document, path),
    ...(fallback === undefined ? {} : { default: textOf(fallback) }),
  };
  const made = Object.keys(settings).length > 0;
  const as = steps.as ?? (made ? type : undefined);
  if (as === undefined) return made ? settings : undefined;
  return {
    ...settings,
    as: { type: typeAt(as, document, [...path, steps.as === undefined ? 'type' : 'as']), native: as },
  };
};

const ruleOf = (rule: Validation[string]): RuleSettings => ({
  ...(rule.in === undefined ? {} : { in: rule.in.map(literalOf) }),
  ...(rule.not_null ? { notNull: true as const } : {}),
  ...(rule.min === undefined ? {} : { min: textOf(rule.min) }),
  ...(rule.max === undefined ? {} : { max: textOf(rule.max) }),
  ...(rule.pattern === undefined ? {} : { pattern: rule.pattern }),
  ...(rule.length === undefined
    ? {}
    : {
        length:
          typeof rule.length === 'number'
            ? { max: rule.length }
            : {
                ...(rule.length.min === undefined ? {} : { min: rule.length.min }),
                ...(rule.length.max === undefined ? {} : { max: rule.length.max }),
              },
      }),
  ...(rule.check === undefined ? {} : { check: rule.check }),
  ...(rule.message === undefined ? {} : { message: rule.message }),
});

/** What a pair does with its source rows before they are compared; undefined: nothing. Throws CONFIG. */
export const transformOf = (
  columns: Readonly<Record<string, ColumnSteps | null>> | undefined,
  validate: Validation | undefined,
  document: ConfigDocument,
  path: Path,
): TransformSettings | undefined => {
  const made = Object.entries(columns ?? {}).flatMap(([name, steps]) => {
    const settings = steps === null ? undefined : columnOf(steps, document, [...path, 'columns', name]);
    return settings === undefined ? [] : [[name, settings] as const];
  });
  const rules = Object.entries(validate ?? {}).map(([name, rule]) => [name, ruleOf(rule)] as const);
  if (made.length === 0 && rules.length === 0) return undefined;
  return { columns: Object.fromEntries(made), validate: Object.fromEntries(rules) };
};
