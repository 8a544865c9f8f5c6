import { closest } from '../lib/suggest.ts';
import { LockstepError } from '../model/errors.ts';
import type { ColumnPair, Pair } from '../model/pair.ts';
import type { ColumnPolicy, ConflictPolicy, NewKey, PolicyRule, PolicyStep, Side } from '../model/policy.ts';
import type { ColumnType } from '../model/schema.ts';
import type { Literal } from '../model/transform.ts';
import { isMoment, isNumeric } from './newest.ts';
import { literalCell } from './rules.ts';

type Checked = Pick<Pair, 'name' | 'columns' | 'keyWidth' | 'transform'> & {
  readonly source: Pick<Pair['source'], 'columns'>;
  readonly target: Pick<Pair['target'], 'columns'>;
};

/**
 * The policy with the columns' names as the tables spell them. Throws COLUMN_NOT_FOUND for a column that is not
 * compared, CONFIG for a rule that a column's type has no sense for. `bothWays`: the source is written as well, so
 * columns that cannot be written back need an owner.
 */
export const checkPolicy = (
  pair: Checked,
  policy: ConflictPolicy,
  o: { readonly bothWays: boolean },
): ConflictPolicy => {
  const checked: ConflictPolicy = {
    ...policy,
    steps: policy.steps.map((step) => stepOf(pair, step)),
    on: Object.fromEntries(
      Object.entries(policy.on).map(([type, steps]) => [type, steps.map((step) => stepOf(pair, step))]),
    ),
    columns: Object.fromEntries(Object.entries(policy.columns).map(([name, of]) => columnOf(pair, name, of))),
  };
  if (o.bothWays) checkWritable(pair, checked);
  return checked;
};

const wrong = (pair: Checked, where: string, what: string, hint: string): LockstepError =>
  new LockstepError('CONFIG', `${pair.name}: ${what} (${where})`, { hint });

/** The compared column that a name means: exact, then unique without regard to case. Never one of the key. */
const find = (pair: Checked, name: string, where: string, side: Side = 'source'): ColumnPair => {
  const exact = pair.columns.filter((c) => c[side].name === name);
  const found = exact.length ? exact : pair.columns.filter((c) => c[side].name.toLowerCase() === name.toLowerCase());
  if (found.length === 1) return found[0]!;
  const there = pair[side].columns.some((c) => c.name.toLowerCase() === name.toLowerCase());
  if (there)
    throw new LockstepError(
      'COLUMN_NOT_FOUND',
      `${pair.name}: column ${name} is not compared, so it can decide nothing (${where})`,
      { hint: `Let it be compared. If each side keeps its own value: columns: { ${name}: { owner: each } }.` },
    );
  const names = pair.columns.map((c) => c[side].name);
  const meant = closest(name, names);
  throw new LockstepError('COLUMN_NOT_FOUND', `${pair.name}: the ${side} has no column ${name} (${where})`, {
    hint: meant === undefined ? `Its columns are: ${names.join(', ')}.` : `Did you mean ${meant}?`,
  });
};

const disputable = (pair: Checked, name: string, where: string): ColumnPair => {
  const column = find(pair, name, where);
  if (pair.columns.indexOf(column) >= pair.keyWidth) return column;
  throw wrong(pair, where, `${name} is in the key, where both sides are always the same`, 'Name another column.');
};

const columnOf = (pair: Checked, name: string, of: ColumnPolicy): readonly [string, ColumnPolicy] => {
  const column = disputable(pair, name, of.where);
  return [
    column.source.name,
    'owner' in of ? of : { ...of, steps: of.steps.map((step) => stepOf(pair, step)) },
  ] as const;
};

const stepOf = (pair: Checked, step: PolicyStep): PolicyStep => {
  switch (step.kind) {
    case 'last_write_wins':
      return newestOf(pair, step);
    case 'rules':
      return { ...step, rules: step.rules.map((rule) => ruleOf(pair, rule)) };
    case 'keep_both':
      return { ...step, newKey: newKeyOf(pair, step.newKey, step.where) };
    default:
      return step;
  }
};

const newestOf = (pair: Checked, step: Extract<PolicyStep, { kind: 'last_write_wins' }>): PolicyStep => {
  const source = find(pair, step.newest.source, step.where);
  const target = step.newest.target === undefined ? source : find(pair, step.newest.target, step.where, 'target');
  for (const column of new Set([source, target])) {
    if (isMoment(column.as) || isNumeric(column.as)) continue;
    throw wrong(
      pair,
      step.where,
      `${column.source.name} is ${column.as.kind}, which does not say what was written later`,
      'newest: a column with the time of the last write, or a version number that grows.',
    );
  }
  if (isMoment(source.as) !== isMoment(target.as))
    throw wrong(
      pair,
      step.where,
      `${source.source.name} and ${target.target.name} cannot be compared: ${source.as.kind} and ${target.as.kind}`,
      'newest: two times, or two numbers.',
    );
  if (step.skewMs > 0 && !isMoment(source.as))
    throw wrong(
      pair,
      step.where,
      `${source.source.name} is a number: clocks have no part in it`,
      'Leave skew out, or name a time.',
    );
  return {
    ...step,
    newest: {
      source: source.source.name,
      ...(step.newest.target === undefined ? {} : { target: target.target.name }),
    },
  };
};

const ruleOf = (pair: Checked, rule: PolicyRule): PolicyRule => {
  const column = disputable(pair, rule.column, rule.where);
  const values =
    rule.kind === 'prefer'
      ? rule.values
      : rule.kind === 'transitions'
        ? [...new Set([...rule.transitions].flatMap(([from, to]) => [from, ...to]))]
        : [];
  checkValues(pair, column, values, rule.where);
  if (rule.kind === 'take') {
    const ordered = isMoment(column.as) || column.as.kind === 'time';
    if (!isNumeric(column.as) && (rule.take === 'sum' || !ordered))
      throw wrong(
        pair,
        rule.where,
        `${rule.column} is ${column.as.kind}: take: ${rule.take} needs ${rule.take === 'sum' ? 'numbers' : 'numbers or times'}`,
        'Name another column, or another rule.',
      );
  }
  return { ...rule, column: column.source.name };
};

const labelsOf = (column: ColumnPair): readonly string[] | undefined => {
  const of = (type: ColumnType): readonly string[] | undefined => (type.kind === 'enum' ? type.labels : undefined);
  const own = [of(column.source.type), of(column.target.type)].filter((labels) => labels !== undefined);
  return own.length === 0 ? undefined : own.flat();
};

/** Values that the column never holds are typing mistakes: a rule with one would never speak. */
const checkValues = (pair: Checked, column: ColumnPair, values: readonly Literal[], where: string): void => {
  const labels = labelsOf(column);
  const seen = new Set<string | null>();
  for (const value of values) {
    const cell = literalCell(column.as, value);
    const known = cell === null || (cell !== undefined && (labels === undefined || labels.includes(cell)));
    if (!known) {
      const meant = labels && closest(value!, labels);
      const hint =
        labels === undefined
          ? `The column is compared as ${column.as.kind}.`
          : meant === undefined
            ? `Its values are: ${labels.join(', ')}.`
            : `Did you mean ${meant}?`;
      throw wrong(pair, where, `${column.source.name} is never ${value}`, hint);
    }
    if (seen.has(cell))
      throw wrong(pair, where, `${value ?? 'NULL'} is listed twice for ${column.source.name}`, 'Keep one of them.');
    seen.add(cell);
  }
};

const newKeyOf = (pair: Checked, newKey: NewKey, where: string): NewKey => {
  const key = pair.columns.slice(0, pair.keyWidth);
  const column = newKey.column === undefined ? key[0] : find(pair, newKey.column, where);
  if (column === undefined || !key.includes(column))
    throw wrong(
      pair,
      where,
      `keep_both makes a new key, and ${newKey.column ?? 'the pair'} ${newKey.column === undefined ? 'has none' : 'is not in it'}`,
      `Its key is: ${key.map((c) => c.source.name).join(', ')}.`,
    );
  const { kind } = column.as;
  const needed = kind === 'int' || kind === 'decimal' ? 'add' : kind === 'text' ? 'append' : undefined;
  if (needed === undefined && kind !== 'uuid')
    throw wrong(
      pair,
      where,
      `no new key can be made of ${column.source.name}, which is ${kind}`,
      'Choose another policy than keep_both.',
    );
  if (needed !== undefined && newKey[needed] === undefined)
    throw wrong(
      pair,
      where,
      `keep_both has to know how a new ${column.source.name} is made`,
      needed === 'add' ? 'new_key: { add: 1000000000 }, beyond all keys in use.' : 'new_key: { append: "-2" }.',
    );
  return { ...newKey, column: column.source.name };
};

/** What cannot be told back to the source belongs to it. */
const checkWritable = (pair: Checked, policy: ConflictPolicy): void => {
  for (const { column, why } of pair.transform?.oneWay ?? []) {
    const of = policy.columns[column];
    const compared = pair.columns.some((c) => c.source.name === column);
    if (!compared || (of !== undefined && 'owner' in of && of.owner === 'source')) continue;
    throw wrong(
      pair,
      policy.where,
      `${column} cannot be written back to the source: ${why}`,
      `Say whose it is: columns: { ${column}: { owner: source } }, or leave it out.`,
    );
  }
};
