import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { LockstepError } from '../model/errors.ts';
import type { Column } from '../model/schema.ts';
import { Decimal } from './decimal.ts';
import { registerFunctions } from './functions.ts';
import { linearPattern } from './pattern.ts';
import { Invalid, type Value } from './value.ts';

/** An expression over the columns of one table, checked once and evaluated per row. */
export interface Expression {
  /** Columns it reads: those it names, or all when it takes the row as a whole. */
  readonly inputs: readonly string[];
  /** Columns it names. */
  readonly named: readonly string[];
  /** `value` gives a column's value; asked for inputs only. Throws Invalid with the reason when it cannot be evaluated. */
  evaluate(value: (column: string) => Value): unknown;
}

/** Bounds of the text of an expression: it is a rule about a row, not a program. */
const limits = { maxAstNodes: 2000, maxDepth: 100, maxListElements: 1000, maxMapEntries: 200, maxCallArguments: 16 };

const isNumber = (type: Column['type']): boolean =>
  type.kind === 'int' || type.kind === 'decimal' || type.kind === 'float';

const typeOf = ({ type, nullable }: Column): string =>
  nullable ? 'dyn' : type.kind === 'bool' ? 'bool' : isNumber(type) ? 'Decimal' : 'string';

/** Names by which expressions know the columns: their own, and in lower case where that is nobody else's. */
const namesOf = (columns: readonly Column[]): ReadonlyMap<string, Column> => {
  const names = new Map(columns.map((c) => [c.name, c]));
  for (const column of columns) {
    const lower = column.name.toLowerCase();
    if (!names.has(lower) && columns.filter((c) => c.name.toLowerCase() === lower).length === 1)
      names.set(lower, column);
  }
  return names;
};

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/;

const environmentOf = (names: ReadonlyMap<string, Column>): Environment => {
  const env = new Environment({ limits, homogeneousAggregateLiterals: false });
  env.registerType('Decimal', { ctor: Decimal, fields: {} });
  registerFunctions(env);
  for (const [name, column] of names) {
    if (!identifier.test(name) || name === 'row') continue;
    try {
      env.registerVariable(name, typeOf(column));
    } catch {
      // A word of the language: the column is reached by row["…"].
    }
  }
  return env.registerVariable('row', 'map<string, dyn>');
};

/** Every node of a syntax tree with the node it is a direct operand of. */
const nodesOf = (root: ASTNode): readonly { readonly node: ASTNode; readonly parent: ASTNode | undefined }[] => {
  const found: { node: ASTNode; parent: ASTNode | undefined }[] = [];
  const isNode = (x: unknown): x is ASTNode => typeof x === 'object' && x !== null && 'op' in x && 'start' in x;
  const visit = (x: unknown, parent: ASTNode | undefined): void => {
    if (Array.isArray(x)) for (const part of x) visit(part, parent);
    else if (isNode(x)) {
      found.push({ node: x, parent });
      visit(x.args, x);
    }
  };
  visit(root, undefined);
  return found;
};

/** Whole numbers stay integers where functions and indexes want them. */
const keepsIntegers = new Set(['call', 'rcall', '[]', 'map']);

interface Edit {
  readonly at: number;
  readonly until: number;
  readonly text: string;
}

/** The text with its parts replaced; of edits at one place, those that stand first in the list come last. */
const edited = (text: string, edits: readonly Edit[]): string =>
  edits.toSorted((a, b) => b.at - a.at).reduce((t, e) => `${t.slice(0, e.at)}${e.text}${t.slice(e.until)}`, text);

/**
 * The text with every other number replaced by a constant, so that no number is ever a binary fraction; and with a NULL
 * that may stand beside any type: `a == null ? null : a + 1`.
 */
const exactNumbers = (env: Environment, text: string, root: ASTNode): readonly Edit[] => {
  const found = nodesOf(root).filter(({ node, parent }) => {
    if (node.op !== 'value') return false;
    const value: unknown = node.args;
    if (value === null || typeof value === 'number') return true;
    return typeof value === 'bigint' && !keepsIntegers.has(parent?.op ?? '');
  });
  return found.map(({ node }, i) => {
    const value: unknown = node.args;
    const written = typeof value === 'bigint' ? String(value) : text.slice(node.start, node.end);
    const name = value === null ? 'dyn(null)' : `exact_number_${i}`;
    if (value !== null) env.registerConstant(name, 'Decimal', Decimal.of(written) as never);
    return { at: node.start, until: node.end, text: `(${name})` };
  });
};

/** Lets no quotient of two integers lose its fraction, as the language's own would: `coalesce(a, 7) / coalesce(b, 2)`. */
const exactQuotients = (root: ASTNode): readonly Edit[] => {
  const dividends = nodesOf(root)
    .filter(({ node }) => node.op === '/')
    .map(({ node }) => (node.args as readonly ASTNode[])[0]!);
  return [
    ...dividends.map((d) => ({ at: d.start, until: d.start, text: 'exact(' })),
    ...dividends.map((d) => ({ at: d.end, until: d.end, text: ')' })),
  ];
};

/** Columns that an expression names, by itself or through `row`; `whole`: `row` is used in another way. Throws for others. */
const inputsOf = (
  root: ASTNode,
  names: ReadonlyMap<string, Column>,
): { readonly named: ReadonlySet<Column>; readonly whole: boolean } => {
  const used = new Set<Column>();
  let whole = false;
  for (const { node, parent } of nodesOf(root)) {
    if (node.op !== 'id') continue;
    const name = node.args as string;
    if (name !== 'row') {
      const column = names.get(name);
      if (column) used.add(column);
      continue;
    }
    const key: unknown =
      parent?.op === '.'
        ? (parent.args as readonly unknown[])[1]
        : parent?.op === '[]'
          ? (parent.args as readonly { readonly op?: string; readonly args?: unknown }[])[1]?.args
          : undefined;
    const column = typeof key === 'string' ? names.get(key) : undefined;
    if (typeof key === 'string' && column === undefined) throw new Error(`Unknown variable: ${key}`);
    if (column) used.add(column);
    else whole = true;
  }
  return { named: used, whole };
};

/** Patterns that are written out are read at once, so that a mistake is one of the configuration. */
const checkPatterns = (root: ASTNode): void => {
  for (const { node } of nodesOf(root)) {
    if (node.op !== 'rcall') continue;
    const [name, , [pattern]] = node.args as readonly [string, ASTNode, readonly ASTNode[]];
    if (name === 'matches') throw new Error('matches() has no bound on its time: write text.like("pattern")');
    if (name === 'like' && typeof pattern?.args === 'string') linearPattern(pattern.args);
  }
};

const firstLine = (error: unknown): string => {
  const { summary, message } = error as { readonly summary?: string; readonly message: string };
  return (summary ?? message).split('\n')[0]!;
};

/**
 * Compiles an expression (CEL) over the columns of a table. `where` names it in errors. Throws CONFIG when it cannot be
 * read, names what is not there, mixes types, or would match a pattern in unbounded time.
 */
export const compileExpression = (text: string, columns: readonly Column[], where: string): Expression => {
  const fail = (why: string, hint?: string): LockstepError =>
    new LockstepError('CONFIG', `${where}: ${why}`, { details: [`  ${text}`], ...(hint ? { hint } : {}) });
  const names = namesOf(columns.filter((c) => c.unreadable === undefined));
  try {
    const env = environmentOf(names);
    const { ast } = env.parse(text);
    checkPatterns(ast);
    const { named, whole } = inputsOf(ast, names);
    const used = whole ? new Set(names.values()) : named;
    const numbers = exactNumbers(env, text, ast);
    const checked = env.check(edited(text, numbers));
    if (!checked.valid) throw checked.error;
    const run = env.parse(edited(text, [...numbers, ...exactQuotients(ast)]));
    const reached = [...names].filter(([, column]) => used.has(column));
    return {
      inputs: [...used].map((c) => c.name),
      named: [...named].map((c) => c.name),
      evaluate: (value) => {
        const row = new Map(reached.map(([name, column]) => [name, value(column.name)] as const));
        try {
          return run(new Map<string, unknown>([...row, ['row', row]]));
        } catch (error) {
          if (error instanceof Invalid) throw error;
          const nulls = reached.filter(([name]) => row.get(name) === null).map(([name]) => name);
          const why = firstLine(error);
          throw new Invalid(
            /null/.test(why) && nulls.length > 0 ? `${nulls.join(', ')} is NULL (coalesce gives another value)` : why,
          );
        }
      },
    };
  } catch (error) {
    if (error instanceof LockstepError) throw error;
    const unknown = /Unknown variable: (\S+)/.exec(firstLine(error))?.[1];
    throw unknown === undefined
      ? fail(firstLine(error))
      : fail(
          `there is no column ${unknown}`,
          `Columns: ${[...new Set(names.values())].map((c) => c.name).join(', ')}.`,
        );
  }
};
