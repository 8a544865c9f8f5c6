import type { ColumnSteps, Validation } from './column-schema.ts';
import type { EndpointEntry, Sync } from './config.ts';
import type { WrittenOwner } from './conflict-schema.ts';
import type { ConfigDocument } from './places.ts';
import { literalOf } from './transform-of.ts';
import { configError } from './validate.ts';

type Path = readonly PropertyKey[];
type Column = { readonly [K in keyof ColumnSteps]?: ColumnSteps[K] | undefined } & {
  readonly owner?: WrittenOwner | undefined;
};

/** A two-way sync writes to both its endpoints. Throws CONFIG. */
export const checkBothWritable = (
  document: ConfigDocument,
  syncs: Readonly<Record<string, Pick<Sync, 'mode' | 'source' | 'target'>>>,
  endpoints: Readonly<Record<string, Pick<EndpointEntry, 'writable'>>>,
): void => {
  for (const [name, sync] of Object.entries(syncs)) {
    if (sync.mode !== 'two_way') continue;
    if (sync.source === sync.target)
      throw configError(document, ['syncs', name, 'target'], `sync \`${name}\` has one endpoint on both sides`, {
        hint: 'A two-way sync needs two databases.',
      });
    const closed = [sync.source, sync.target].find((endpoint) => !endpoints[endpoint]!.writable);
    if (closed === undefined) continue;
    throw configError(
      document,
      ['syncs', name, 'mode'],
      `sync \`${name}\` writes both ways, and endpoint \`${closed}\` is read-only`,
      { hint: `Add \`writable: true\` to ${closed}, or choose a one-way mode such as mirror.` },
    );
  }
};

/** What only a two-way sync has to keep: what is written on one side must be told on the other. Throws CONFIG. */
export const checkTwoWayPair = (
  document: ConfigDocument,
  pair:
    | string
    | {
        readonly columns?: Readonly<Record<string, Column | null>> | undefined;
        readonly validate?: Validation | undefined;
      },
  path: Path,
): void => {
  if (typeof pair === 'string') return;
  const { columns, validate } = pair;
  for (const [name, column] of Object.entries(columns ?? {})) {
    if (column === null || column.owner === 'source') continue;
    const at = [...path, 'columns', name];
    const found = madeOnly(column) ?? mapBackwards(column, validate?.[name]);
    if (found === undefined) continue;
    throw configError(document, [...at, ...found.at], `${name} cannot be written back to the source: ${found.why}`, {
      of: 'key',
      hint: `${found.hint} Or say that it is the source’s: owner: source.`,
    });
  }
};

interface OneWay {
  readonly at: Path;
  readonly why: string;
  readonly hint: string;
}

const madeOnly = (column: Column): OneWay | undefined => {
  const by = {
    value: 'it is a constant',
    expr: 'it is the result of an expression',
    transform: 'it is made by a function',
    lookup: 'it is looked up',
    default: 'NULL becomes a value',
  } as const;
  const key = (Object.keys(by) as (keyof typeof by)[]).find((k) => column[k] !== undefined);
  return key && { at: [key], why: by[key], hint: 'Leave the column out.' };
};

/** A map goes both ways when no two values of the source become one. */
const mapBackwards = (
  { map, otherwise, unmapped }: Column,
  rule: Validation[string] | undefined,
): OneWay | undefined => {
  if (map === undefined) return undefined;
  if (otherwise !== undefined)
    return { at: ['otherwise'], why: 'all values that the map does not name become one', hint: 'Name them all.' };
  const first = new Map<string | null, string>();
  for (const [from, to] of Object.entries(map)) {
    const value = literalOf(to);
    const before = first.get(value);
    if (before !== undefined)
      return {
        at: ['map', from],
        why: `${before} and ${from} both become ${value ?? 'NULL'}`,
        hint: 'Give each value one of its own.',
      };
    if (value === null)
      return { at: ['map', from], why: `${from} becomes NULL, as NULL does`, hint: 'Give it a value.' };
    first.set(value, from);
  }
  if (unmapped === 'quarantine') return undefined;
  const stored = rule?.in?.map(literalOf);
  const clash = [...first].find(([to]) => !Object.hasOwn(map, to!) && (stored === undefined || stored.includes(to)));
  return (
    clash && {
      at: ['map', clash[1]],
      why: `${clash[0]} is what ${clash[1]} becomes, and would be kept where the source itself has it`,
      hint: `If the source never has it: unmapped: quarantine, or validate: { …: { in: [ … ] } } without it.`,
    }
  );
};
