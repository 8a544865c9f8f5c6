import { grouped } from '../../lib/grouped.ts';
import type { Standing } from '../../model/incremental.ts';
import type { NotCompared, Pair } from '../../model/pair.ts';
import type { Reader, Unable } from '../../model/reader.ts';
import type { IncrementalFacts } from '../../model/report.ts';
import type { Key } from '../../model/row.ts';
import { keyTypes } from '../../model/selection.ts';
import { both } from '../concurrent.ts';
import type { Side, Sides, Work } from '../context.ts';
import { keyIsGuaranteed } from '../key.ts';
import { compareKeysOf } from './all-keys.ts';
import { changedSince, markNow, union } from './changed-keys.ts';
import { type Method, methodOf } from './methods.ts';
import { keyName } from './open-keys.ts';
import type { IncrementalRequest } from './request.ts';
import { outsideRow } from './row-filter.ts';

type Marks = Standing['marks'];

/** What is known before rows are compared. */
export interface Prepared {
  /** The keys to look at, ascending; undefined: all rows. */
  readonly keys: readonly Key[] | undefined;
  readonly facts: IncrementalFacts;
  readonly notCompared: readonly NotCompared[];
  /** Marks of these snapshots; undefined: no later comparison can start from them. */
  readonly marks: Marks | undefined;
  /** Was this key, found to differ by a comparison of all rows, among those an incremental one looks at? */
  readonly seen: ((key: Key) => boolean) | undefined;
}

const iso = (at: number): string => new Date(at).toISOString();

/** Why this pair can never be compared incrementally, or undefined. */
export const impossible = (pair: Pair, methods: Sides<Method>, names: Sides<string>): string | undefined => {
  if (pair.keyWidth === 0) return 'it has no key';
  if (!keyIsGuaranteed(pair)) return 'no unique index guarantees its key on both sides';
  for (const side of ['source', 'target'] as const) {
    const filter = pair.filter?.[side];
    const outside = filter === undefined ? undefined : outsideRow(filter);
    if (outside !== undefined) return `the condition on ${names[side]} can let rows in that nobody wrote: ${outside}`;
  }
  if (methods.source.kind === 'none')
    return `${names.source} cannot tell its changed rows: ${methods.source.reason}. ${methods.source.fix}`;
  return undefined;
};

const isUnable = (value: unknown): value is Unable => typeof value === 'object' && value !== null && 'unable' in value;

/** Marks of both sides; the side that cannot be marked is one that cannot tell. */
const marksOf = async (
  work: Work,
  readers: Sides<Reader>,
  methods: Sides<Method>,
  earlier: Standing | undefined,
): Promise<{ readonly marks: Marks; readonly methods: Sides<Method> }> => {
  const of = async (side: Side): Promise<readonly [string | null, Method]> => {
    const method = methods[side];
    if (method.kind === 'none') return [null, method];
    const mark = await markNow(work, side, readers[side], method, earlier);
    if (!isUnable(mark)) return [mark, method];
    return [null, { kind: 'none', reason: mark.unable, fix: 'Compare all rows: --full.' }];
  };
  const [source, target] = await both(
    work.signal,
    () => of('source'),
    () => of('target'),
  );
  return { marks: { source: source[0], target: target[0] }, methods: { source: source[1], target: target[1] } };
};

const nameOf = (method: Method): string | null => (method.kind === 'none' ? null : method.name);

/** What an incremental comparison of these sides cannot see, and so does not compare. */
const unseen = (work: Work, { rule }: IncrementalRequest, methods: Sides<Method>): readonly NotCompared[] => {
  const { pair, endpoints } = work;
  const found: NotCompared[] = [];
  if (methods.target.kind === 'none')
    found.push({
      what: pair.name,
      reason: `rows written in ${endpoints.target.name} alone are not seen: ${methods.target.reason}`,
      fix: methods.target.fix,
    });
  if (rule.deletes === 'none')
    found.push({
      what: pair.name,
      reason: 'deleted rows are not seen (deletes: none)',
      fix: 'Compare the keys of all rows each time, which is cheaper than the rows: incremental: { deletes: keys }. Or compare all rows: --full.',
    });
  return found;
};

/**
 * Takes the marks of both snapshots and finds out which keys are to be looked at: those that either side shows as
 * written since the earlier comparison, those it left open, and those that only one side has.
 */
export const prepare = async (work: Work, readers: Sides<Reader>, request: IncrementalRequest): Promise<Prepared> => {
  const { rule, earlier } = request;
  const { pair, endpoints } = work;
  const wanted = {
    source: methodOf(pair, rule, 'source', readers.source, endpoints.source.engine),
    target: methodOf(pair, rule, 'target', readers.target, endpoints.target.engine),
  };
  const names = { source: endpoints.source.name, target: endpoints.target.name };
  const never = impossible(pair, wanted, names);
  const marked = never === undefined ? await marksOf(work, readers, wanted, earlier) : undefined;
  const methods = marked?.methods ?? wanted;
  const blind = marked === undefined ? never : impossible(pair, methods, names);
  const by = { source: nameOf(methods.source), target: nameOf(methods.target) };
  const known: IncrementalFacts = {
    mode: 'changes',
    by,
    ...(earlier === undefined
      ? {}
      : {
          since: { run: earlier.run, at: iso(earlier.at) },
          full: { run: earlier.full.run, at: iso(earlier.full.at) },
        }),
  };
  const allRows = (why: string, seen?: (key: Key) => boolean): Prepared => ({
    keys: undefined,
    facts: { ...known, mode: 'full', why, ...(blind === undefined ? {} : { not_kept: blind }) },
    notCompared: [],
    marks: blind === undefined ? marked?.marks : undefined,
    seen,
  });
  if (blind !== undefined) return allRows(blind);
  if (earlier === undefined) return allRows(request.full ?? 'there is no earlier comparison of the same to start from');

  const changed = await changedOf(work, readers, methods, request, earlier, marked!.marks);
  if (isUnable(changed)) return allRows(request.full ?? changed.unable);
  const lists = [changed.source, changed.target, earlier.open];
  if (request.full !== undefined) {
    const looked = new Set(lists.flat().map(keyName));
    return allRows(request.full, (key) => looked.has(keyName(key)));
  }
  const compared = rule.deletes === 'keys' ? await compareKeysOf(work, readers) : undefined;
  if (isUnable(compared)) return allRows(compared.unable);
  return {
    keys: union(keyTypes(work.selections.source), [...lists, compared?.keys ?? []]),
    facts: {
      ...known,
      changed: { source: changed.source.length, target: changed.target.length },
      open: earlier.open.length,
      deletes: rule.deletes,
      table_rows: compared?.rows ?? earlier.rows,
    },
    notCompared: unseen(work, request, methods),
    marks: marked!.marks,
    seen: undefined,
  };
};

const changedOf = async (
  work: Work,
  readers: Sides<Reader>,
  methods: Sides<Method>,
  { rule }: IncrementalRequest,
  earlier: Standing,
  now: Marks,
): Promise<Sides<readonly Key[]> | Unable> => {
  const overlap = { ms: rule.overlapMs, count: rule.overlapCount };
  const of = async (side: Side): Promise<readonly Key[] | Unable> => {
    const method = methods[side];
    // Nothing to see on this side: told as not compared.
    if (method.kind === 'none') return [];
    const mark = earlier.marks[side];
    if (mark === null && earlier.marks.source === null && earlier.marks.target === null)
      return { unable: 'the last comparison left nothing to start from' };
    if (mark === null) return { unable: `${work.endpoints[side].name} had no value of ${method.name} to start from` };
    return changedSince(work, side, readers[side], method, { before: mark, now: now[side] }, overlap);
  };
  const [source, target] = await both(
    work.signal,
    () => of('source'),
    () => of('target'),
  );
  if (isUnable(source)) return source;
  if (isUnable(target)) return target;
  return { source, target };
};

/** `12 changed in billing, 3 in crm, 2 open, 1 by its key` for `--explain`. */
export const explained = (work: Work, { facts, keys }: Prepared): string => {
  const { source, target } = work.endpoints;
  const by = (side: Side): string => (facts.by[side] === null ? 'not seen' : `by ${facts.by[side]}`);
  return [
    `incremental since run ${facts.since!.run}: ${grouped(facts.changed!.source)} rows changed in ${source.name} (${by('source')})`,
    `${grouped(facts.changed!.target)} in ${target.name} (${by('target')})`,
    `${grouped(facts.open!)} left open before`,
    `${facts.deletes === 'keys' ? 'the keys of all rows compared' : 'deleted rows not seen'}: ${grouped(keys!.length)} keys looked at`,
  ].join(', ');
};
