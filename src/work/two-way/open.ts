import { readingSides } from '../../diff/sampled.ts';
import { detectTwoWay } from '../../diff/two-way/detect.ts';
import { keepAgreed } from '../../diff/two-way/keep.ts';
import type { TwoWayFound } from '../../diff/two-way/options.ts';
import { openPairArchive, type PairArchive } from '../../diff/two-way/pair-archive.ts';
import { randomSeed } from '../../lib/ids.ts';
import { LockstepError } from '../../model/errors.ts';
import type { NotCompared, Pair } from '../../model/pair.ts';
import { type ConflictPolicy, type PolicyStep, policyTypes } from '../../model/policy.ts';
import type { Key } from '../../model/row.ts';
import { type Rejected, sourceOf } from '../../model/transform.ts';
import type { ThreeWay, TwoWayResolver } from '../../model/two-way.ts';
import type { TwoWaySide } from '../../model/two-way-runs.ts';
import { checkPolicy } from '../../resolve/check-policy.ts';
import { twoWayResolver } from '../../resolve/two-way.ts';
import { alignAll } from '../compare.ts';
import { mayWrite, type TwoWayInput } from './context.ts';
import type { Preferring } from './decide.ts';
import type { Following } from './follow.ts';

/** A pair, how it is compared with its archive, and who decides. */
export interface PairDetection {
  readonly pair: Pair;
  readonly resolver: TwoWayResolver;
  /** For what a person chose. */
  readonly preferring: Preferring;
  /** Every key that is not as agreed, once. Awaited. */
  detect(
    run: string,
    sink: (rows: readonly ThreeWay[]) => Promise<void>,
    quarantine: (rows: readonly Rejected[]) => Promise<void>,
    /** Keys that may be as agreed or not. */
    unsettled: (keys: readonly Key[]) => Promise<void>,
  ): Promise<TwoWayFound>;
}

/** The pairs of a sync that keeps an archive, with their archives. */
export interface OpenTwoWay {
  readonly pairs: readonly Pair[];
  readonly notCompared: readonly NotCompared[];
  /** In the order of the pairs. */
  readonly detections: readonly PairDetection[];
  /** Nothing was agreed on this pair as it is configured and defined now: all that earlier runs knew was of another one. */
  isNew(pair: Pair): boolean;
  /** Takes down what both sides agree on. */
  keep(pair: Pair, rows: readonly Following[], run: string): Promise<void>;
}

/** Which values of what was agreed are kept, by column. */
const keptOf = (
  pair: Pair,
  policy: ConflictPolicy,
  values: TwoWayInput['rules']['archiveValues'],
): ((column: number) => 'value' | 'hash') => {
  if (values === 'all') return () => 'value';
  if (values === 'none') return () => 'hash';
  const steps: readonly PolicyStep[] = [
    ...policy.steps,
    ...Object.values(policy.on).flatMap((s) => s ?? []),
    ...Object.values(policy.columns).flatMap((c) => ('steps' in c ? c.steps : [])),
  ];
  // A function is shown what was agreed.
  if (steps.some((s) => s.kind === 'function')) return () => 'value';
  const summed = new Set(
    steps.flatMap((s) => (s.kind === 'rules' ? s.rules : [])).flatMap((r) => (r.kind === 'take' ? [r.column] : [])),
  );
  return (i) => (summed.has(pair.columns[i]!.source.name) ? 'value' : 'hash');
};

/** The policy of a person who takes one side: the other one's edits of other columns stand all the same. */
const preferring = (policy: ConflictPolicy, side: TwoWaySide): ConflictPolicy => {
  const step: PolicyStep = { kind: 'prefer', side, where: policy.where };
  const on = Object.fromEntries(policyTypes.map((type) => [type, [step]]));
  const owned = Object.entries(policy.columns).filter(([, column]) => 'owner' in column);
  return { ...policy, steps: [step], on, columns: Object.fromEntries(owned) };
};

/** What decides what a row of an archive means. */
const lasting = ['key', 'columns', 'exclude', 'map', 'tolerances'] as const;

/** Of other columns nothing was agreed: a run of its own would forget what was, and bring back what one side deleted. */
const refuseOtherColumns = ({ defaults, sync }: TwoWayInput): void => {
  const said = lasting.filter((option) => defaults?.[option] !== undefined);
  if (said.length === 0) return;
  throw new LockstepError(
    'USAGE',
    `sync ${sync} keeps what both sides agreed on, which is of its columns, key and tolerances as they are configured: ${said.join(', ')} cannot be others for one run. Nothing was compared.`,
    { hint: 'Set them in the configuration, for good. lockstep diff compares with any, and writes nothing.' },
  );
};

export const openTwoWay = async (o: TwoWayInput): Promise<OpenTwoWay> => {
  const { store, signal, rules } = o;
  refuseOtherColumns(o);
  const { pairs, notCompared } = await alignAll(o);
  const endpointsOf = (pair: Pair) => readingSides(pair, o.source, o.target);
  const secret = await store.sharedSecret('archive', o);
  const archives = new Map<Pair, PairArchive>();
  const begun = new Set<Pair>();
  const detections: PairDetection[] = [];
  for (const pair of pairs) {
    const endpoints = endpointsOf(pair);
    const writes = mayWrite(rules);
    const policy = checkPolicy(pair, rules.policyOf(pair), { bothWays: writes.source });
    const kept = keptOf(pair, policy, rules.archiveValues);
    const archive = await openPairArchive({
      archives: store.archives,
      sync: o.sync,
      pair,
      // how rows are hashed is chosen once: for the whole table that a sample may grow to
      endpoints: { source: sourceOf(pair, o.source, o.target), target: o.target },
      kept,
      secret,
      signal,
    });
    archives.set(pair, archive);
    // Runs of some rows agree on these, and leave it incomplete.
    if (archive.archive.facts.completed !== null || (await archive.archive.rows({ signal })) > 0) begun.add(pair);
    const { onProgress } = o;
    detections.push({
      pair,
      resolver: twoWayResolver({ pair, policy, writes, same: archive.cells.same }),
      preferring: {
        source: twoWayResolver({ pair, policy: preferring(policy, 'source'), writes, same: archive.cells.same }),
        target: twoWayResolver({ pair, policy: preferring(policy, 'target'), writes, same: archive.cells.same }),
      },
      detect: (run, sink, quarantine, unsettled) =>
        detectTwoWay({
          pair,
          endpoints,
          clock: o.clock,
          signal,
          settleMs: o.settleMs,
          archive,
          run,
          sink,
          quarantine,
          unsettled,
          passing: o.defaults?.filter !== undefined,
          // A side that is not written keeps its row.
          mayDiffer: !writes.source,
          ...(onProgress === undefined ? {} : { onProgress }),
        }),
    });
  }
  return {
    pairs,
    notCompared,
    detections,
    isNew: (pair) => !begun.has(pair),
    keep: async (pair, rows, run) => {
      const archive = archives.get(pair)!;
      const random = (): bigint => randomSeed();
      await keepAgreed({ pair, archive, run, at: o.clock.now(), endpoints: endpointsOf(pair), random, signal }, [rows]);
    },
  };
};
