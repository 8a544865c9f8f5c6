import type { Cancel } from '../model/cancel.ts';
import { canonical } from '../model/canon/canonical.ts';
import { concealedRow, conceals, hidden } from '../model/canon/concealed.ts';
import { isMisfit, misfitContent } from '../model/canon/misfit.ts';
import { visibleCell } from '../model/canon/show.ts';
import type { ChangeOp } from '../model/change.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import { judge } from '../model/judge.ts';
import type { Pair } from '../model/pair.ts';
import type { QuarantinedRow } from '../model/quarantine.ts';
import type { Cell, Key, Row, Text } from '../model/row.ts';
import type { Column } from '../model/schema.ts';
import { pairSelection } from '../model/selection.ts';
import type { Store, Trace } from '../model/store.ts';
import { rejectionOf, sourceOf } from '../model/transform.ts';
import type { BaseRow } from '../model/two-way.ts';
import { misfitOf, targetShape } from '../plan/target-row.ts';
import { byMode, type WritingMode, writingModes } from '../resolve/decide.ts';
import type { TwoWayRules } from './two-way/context.ts';
import { differenceTo } from './two-way/decide.ts';
import { type ExplainedTwoWay, explainTwoWay } from './two-way/explain.ts';

/** The whole story of one row: what both sides show now, and everything recorded of it. */
export interface Explained {
  readonly pair: Pair;
  readonly key: Key;
  readonly source: Row | null;
  readonly target: Row | null;
  /** Source columns that differ now, tolerances observed. */
  readonly columns: readonly string[];
  /** Within a declared tolerance. */
  readonly tolerated: readonly string[];
  /** The source row as it is stored, where the pair transforms it and its key is stored. */
  readonly stored?: readonly { readonly column: string; readonly cell: Cell }[];
  /** Why the source row is invalid by the pair's rules. */
  readonly quarantined?: readonly string[];
  /** What the quarantine has of it. */
  readonly kept?: QuarantinedRow;
  readonly trace: Trace;
  /** Of a sync that keeps an archive. */
  readonly twoWay?: ExplainedTwoWay;
  /** Of one that keeps none, and writes: what a plan would do now. */
  readonly next?: NextWrite;
}

/** What a one-way plan makes of a row as it is. `reason`: why the target cannot be written. */
export type NextWrite =
  | { readonly kind: 'none' }
  | { readonly kind: 'write' | 'withheld'; readonly op: ChangeOp }
  | { readonly kind: 'does_not_fit'; readonly op: ChangeOp; readonly reason: string };

/** A key as a person types it: one text per key column. */
export const parseKey = (pair: Pair, texts: readonly string[]): Key => {
  if (pair.keyWidth === 0) {
    throw new LockstepError('USAGE', `${pair.name} has no key: its rows cannot be explained one by one.`, {
      hint: 'Name columns that are unique and never NULL on both sides: key: [a, b] of the pair. Or add a primary key.',
    });
  }
  if (texts.length !== pair.keyWidth) {
    const names = pair.columns.slice(0, pair.keyWidth).map((c) => c.source.name);
    throw new LockstepError('USAGE', `The key of ${pair.name} is ${names.join(', ')}: ${texts.length} given.`, {
      hint: 'Give one value per key column, in that order.',
    });
  }
  return texts.map((text, i) => canonical(pair.columns[i]!.as, text));
};

const rowOf = async (endpoint: Endpoint, pair: Pair, side: 'source' | 'target', key: Key, o: Cancel) => {
  await using reader = await endpoint.snapshot(o);
  // Without the filter: a row that only left it has a story too.
  const { filter: _, ...selection } = pairSelection(pair, side);
  for await (const batch of reader.scan(selection, { kind: 'keys', keys: [key] }, o)) {
    if (batch[0] !== undefined) return batch[0];
  }
  return null;
};

/** The row as it is stored, before it is transformed; undefined where its key is made of other columns. */
const storedRow = async (endpoint: Endpoint, pair: Pair, key: Key, o: Cancel): Promise<Explained['stored']> => {
  const raw = pair.transform?.raw;
  if (raw === undefined) return undefined;
  const keys = pair.columns.slice(0, pair.keyWidth);
  const isStored = (c: Column): boolean => raw.columns.includes(c);
  if (!keys.every((c) => isStored(c.source))) return undefined;
  const { filter: _, ...made } = pairSelection(pair, 'source');
  const rest = raw.columns.filter((c) => c.unreadable === undefined && !keys.some((k) => k.source === c));
  const columns = [
    ...made.columns.slice(0, pair.keyWidth),
    ...rest.map(({ name, type, loose }) => ({
      name,
      stored: type,
      as: type,
      ...(loose ? { loose: true as const } : {}),
    })),
  ];
  await using reader = await endpoint.snapshot(o);
  for await (const [row] of reader.scan({ ...made, columns }, { kind: 'keys', keys: [key] }, o)) {
    if (row) return columns.map(({ name }, i) => ({ column: name, cell: row[i]! }));
  }
  return undefined;
};

const keptRow = async (
  o: Cancel & { readonly sync?: string; readonly store?: Pick<Store, 'quarantine'> },
  pair: Pair,
  key: Key,
): Promise<QuarantinedRow | undefined> => {
  if (o.store === undefined || o.sync === undefined) return undefined;
  for await (const [row] of o.store.quarantine.list({ sync: o.sync, pair: pair.name, keys: [key] }, o)) return row;
  return undefined;
};

/** What is known of a row besides, as it may be shown. Reasons may quote any value. */
const concealedTwoWay = (pair: Pair, t: ExplainedTwoWay): ExplainedTwoWay => {
  const { base, next } = t;
  const cells = (row: BaseRow['source']): BaseRow['source'] =>
    row.map((cell, i) => (cell !== null && pair.columns[i]!.concealed ? hidden : cell));
  const reason = 'not shown: it may quote concealed values';
  return {
    ...t,
    unfit: t.unfit.map(({ side }) => ({ side, reason })),
    base: base && { ...base, source: cells(base.source), target: cells(base.target) },
    next:
      next === undefined || next.kind === 'agreed'
        ? next
        : next.kind === 'ask'
          ? { ...next, reason }
          : ({
              ...next,
              result: concealedRow(pair, next.result),
              ...('other' in next ? { other: concealedRow(pair, next.other) } : {}),
              ...(next.ruling === undefined ? {} : { ruling: { ...next.ruling, reason } }),
            } as typeof next),
  };
};

const knowsNone = ({ trace, twoWay, ...e }: Explained): boolean =>
  [e.source, e.target, e.quarantined ?? null, e.kept ?? null, twoWay?.base ?? null].every((x) => x === null) &&
  [trace.differences, trace.planned, trace.written, twoWay?.conflicts ?? []].every((some) => some.length === 0);

/** Throws USAGE for what no row has as its key, since its columns are of other types: it is a slip of whoever asks. */
const refuseImpossible = ({ pair, key }: Explained): void => {
  const columns = pair.columns.slice(0, pair.keyWidth);
  for (const [i, { source, target, as }] of columns.entries()) {
    const cell = key[i]!;
    if (cell === null || !isMisfit(cell) || source.loose || target.loose) continue;
    const { content } = misfitContent(cell);
    const value = visibleCell((content.length > 60 ? `${content.slice(0, 60)}…` : content) as Text);
    throw new LockstepError('USAGE', `${value} cannot be a key of ${pair.name}: ${source.name} is ${as.kind}`, {
      hint: `Give one value per key column, in this order: ${columns.map((c) => `${c.source.name} (${c.source.native})`).join(', ')}.`,
    });
  }
};

/** Undefined: it is not known, since rows that a condition or a sample leaves out are explained, and not planned. */
const nextWrite = (
  pair: Pair,
  mode: WritingMode,
  row: Pick<Explained, 'key' | 'source' | 'target'> & { readonly quarantined: boolean },
): NextWrite | undefined => {
  if (pair.filter !== undefined || pair.sample !== undefined) return undefined;
  const difference = row.quarantined ? undefined : differenceTo(pair, row.key, row.source, row.target);
  const decision = difference && byMode(mode)(difference);
  if (difference === undefined || decision === undefined) return { kind: 'none' };
  const { op } = decision;
  if (decision.kind === 'withheld') return { kind: 'withheld', op };
  const misfit = misfitOf(targetShape(pair), difference, op);
  if (misfit === undefined) return { kind: 'write', op };
  return { kind: 'does_not_fit', op, reason: conceals(pair) ? (misfit.unquoted ?? misfit.reason) : misfit.reason };
};

/** `lockstep explain SYNC/PAIR KEY`. Without a store: only what both sides show. */
export const explain = async (
  o: Cancel & {
    readonly pair: Pair;
    readonly key: readonly string[];
    readonly source: Endpoint;
    readonly target: Endpoint;
    /** The configured sync, whose quarantine is asked. */
    readonly sync?: string;
    readonly store?: Pick<Store, 'trace' | 'quarantine' | 'archives' | 'conflicts' | 'sharedSecret'>;
    /** How the sync settles conflicts, where it keeps an archive. */
    readonly rules?: TwoWayRules | undefined;
    /** How the sync writes; those of `writingModes` plan by it. */
    readonly mode?: string;
  },
): Promise<Explained> => {
  const { pair } = o;
  const key = parseKey(pair, o.key);
  const found = await rowOf(sourceOf(pair, o.source, o.target), pair, 'source', key, o);
  const rejection = found === null ? undefined : rejectionOf(found, pair.columns.length);
  const source = rejection ? null : found;
  const stored = await storedRow(o.source, pair, key, o);
  const kept = await keptRow(o, pair, key);
  const target = await rowOf(o.target, pair, 'target', key, o);
  const { store, sync, rules } = o;
  const twoWay =
    store === undefined || sync === undefined || rules === undefined
      ? undefined
      : await explainTwoWay({
          ...{ store, sync, rules, pair, key, source, target, signal: o.signal },
          endpoints: { source: o.source, target: o.target },
        });
  const mode = writingModes.find((m) => m === o.mode);
  const next =
    mode === undefined || rules !== undefined
      ? undefined
      : nextWrite(pair, mode, { key, source, target, quarantined: rejection !== undefined });
  const judged =
    source !== null && target !== null ? judge(pair.columns, source, target) : { columns: [], tolerated: [] };
  const name = (i: number): string => pair.columns[i]!.source.name;
  const secret = new Set(pair.columns.flatMap((c) => (c.concealed ? [c.source.name] : [])));
  const explained: Explained = {
    pair,
    key,
    source: concealedRow(pair, source),
    target: concealedRow(pair, target),
    columns: judged.columns.map(name),
    tolerated: judged.tolerated.map(name),
    ...(stored
      ? {
          stored: stored.map(({ column, cell }) => ({
            column,
            cell: cell !== null && secret.has(column) ? hidden : cell,
          })),
        }
      : {}),
    ...(rejection ? { quarantined: rejection.reasons } : {}),
    ...(kept ? { kept } : {}),
    ...(twoWay ? { twoWay: conceals(pair) ? concealedTwoWay(pair, twoWay) : twoWay } : {}),
    ...(next ? { next } : {}),
    trace: (await o.store?.trace(pair.name, key, o)) ?? { differences: [], planned: [], written: [] },
  };
  if (knowsNone(explained)) refuseImpossible(explained);
  return explained;
};
