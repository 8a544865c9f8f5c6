import { tmpdir } from 'node:os';
import type { Conflict } from '../../model/conflicts.ts';
import type { JsonValue } from '../../model/json.ts';
import type { NotCompared, Pair } from '../../model/pair.ts';
import type { CompareReport, PairReport } from '../../model/report.ts';
import type { Key } from '../../model/row.ts';
import type { Run } from '../../model/runs.ts';
import { inSample } from '../../model/sample.ts';
import { pairSelection } from '../../model/selection.ts';
import type { ThreeWay } from '../../model/two-way.ts';
import { byMode } from '../../resolve/decide.ts';
import { runQuarantine } from '../quarantine.ts';
import type { SidePlans } from './apply-sides.ts';
import { bothSides, mayWrite, type TwoWayInput } from './context.ts';
import { type Step, stepOf } from './decide.ts';
import { takenKeys } from './free-keys.ts';
import type { OpenTwoWay } from './open.ts';
import { type OpenSide, openSide } from './sides.ts';
import { type DecidedCounts, takeSteps } from './take-steps.ts';
import { seenFrom } from './turned.ts';

export interface TwoWayPlanned {
  readonly plans: SidePlans;
  readonly pairs: readonly Pair[];
  readonly report: CompareReport;
  readonly counts: DecidedCounts;
  /** Keys that are not as agreed and that this run leaves to the next one, since it writes decisions only. */
  readonly later: number;
}

const hour = 3_600_000;

/** Both sides' plans in the making. */
const openSides = async (o: TwoWayInput, run: Pick<Run, 'id'>, pairs: readonly Pair[]) => {
  const created = o.clock.now();
  const may = mayWrite(o.rules);
  const open: OpenSide[] = [];
  const close = async (): Promise<void> => {
    for (const side of open) await side[Symbol.asyncDispose]();
  };
  try {
    for (const side of bothSides) {
      if (!may[side]) continue;
      const other = side === 'target' ? 'source' : 'target';
      const schemas = o.schemas?.[side];
      open.push(
        await openSide({
          side,
          endpoint: o[side],
          pairs: pairs.map((pair) => seenFrom(side, pair)),
          ...(schemas === undefined ? {} : { schemas }),
          store: o.store,
          run,
          sync: o.sync,
          mode: o.rules.mode,
          resolver: byMode(o.rules.mode === 'two_way' ? 'mirror' : o.rules.mode),
          guards: o.guards,
          settings: o.settings as JsonValue,
          facts: { source: o.facts[other], target: o.facts[side] },
          created,
          lifetimeMs: o.lifetimeMs ?? hour,
          temporary: o.temporary ?? tmpdir(),
          signal: o.signal,
        }),
      );
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { sides: open, [Symbol.asyncDispose]: close };
};

/** The open records of these keys. */
const waitingOf = async (o: TwoWayInput, pair: Pair, keys: readonly Key[]): Promise<ReadonlyMap<string, Conflict>> => {
  const found = await o.store.conflicts.list(
    { sync: o.sync, pair: pair.name, keys, states: ['pending', 'decided'], limit: keys.length },
    o,
  );
  return new Map(found.map((c) => [JSON.stringify(c.key), c]));
};

const turnsOf = async (o: TwoWayInput, pair: Pair, keys: readonly Key[]): Promise<ReadonlyMap<string, number>> => {
  const { flapping } = o.rules;
  if (flapping === undefined) return new Map();
  const of = { sync: o.sync, pair: pair.name, since: o.clock.now() - flapping.withinMs };
  const found = await o.store.twoWayRuns.turns(of, keys, o);
  return new Map(found.map((f) => [JSON.stringify(f.key), f.turns]));
};

const duration = (ms: number): string => {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const;
  const [name, size] = units.find(([, n]) => ms >= n && ms % n === 0) ?? ['ms', 1];
  return `${ms / size} ${name}`;
};

/**
 * Compares every pair with its archive and plans what settles the keys that are not as agreed: a plan for each side.
 * Writes nothing to the endpoints.
 */
export const planTwoWay = async (o: TwoWayInput, run: Run, two: OpenTwoWay): Promise<TwoWayPlanned> => {
  const { store, signal } = o;
  const { pairs, notCompared, detections } = two;
  await using open = await openSides(o, run, pairs);
  const { sides } = open;
  await store.twoWayRuns.begin(run.id, o.sync, o.clock.now(), o);
  const counts: DecidedCounts = { agreed: 0, propagated: 0, ruled: 0, resolved: 0, waiting: 0 };
  const reports: PairReport[] = [];
  let later = 0;
  const invalid = runQuarantine(o, run.id);

  for (const [place, detection] of detections.entries()) {
    const { pair, resolver, preferring } = detection;
    const met = new Set<string>();
    const seconds = new Set<string>();
    const at = { detection, place };
    const flapping = o.rules.flapping;
    const settings = {
      pair,
      resolver,
      preferring,
      writes: mayWrite(o.rules),
      flapping: flapping === undefined ? undefined : { turns: flapping.writes, within: duration(flapping.withinMs) },
    };
    const sink = async (rows: readonly ThreeWay[]): Promise<void> => {
      const keys = rows.map((r) => r.key);
      const waiting = await waitingOf(o, pair, keys);
      const turns = await turnsOf(o, pair, keys);
      const steps: Step[] = [];
      for (const row of rows) {
        const name = JSON.stringify(row.key);
        const record = waiting.get(name);
        if (record !== undefined) met.add(record.id);
        if (o.onlyDecided === true && record?.state !== 'decided') {
          if (record === undefined) later++;
          else counts.waiting++;
          continue;
        }
        steps.push(stepOf(settings, row, record, turns.get(name) ?? 0));
      }
      await takeSteps(o, run, two, at, sides, await withFreeKeys(o, pair, steps, seconds), counts);
    };
    const unsettled = async (keys: readonly Key[]): Promise<void> => {
      for (const { id } of (await waitingOf(o, pair, keys)).values()) met.add(id);
    };
    const found = await detection.detect(run.id, sink, (rows) => invalid.quarantine!(pair, rows), unsettled);
    await invalid.ended(pair, found.report);
    if (o.onlyDecided !== true && found.report.duplicate_key === 0) await closeOthers(o, run, pair, met);
    reports.push(found.report);
  }

  o.onProgress?.({ pair: '', phase: 'plan', rows: 0 });
  const plans: Partial<Record<(typeof bothSides)[number], SidePlans['target'] & {}>> = {};
  for (const side of sides) plans[side.side] = await side.seal(reports, { signal });
  await store.twoWayRuns.planned(
    run.id,
    {
      ...(plans.source === undefined ? {} : { source: plans.source.header.id }),
      ...(plans.target === undefined ? {} : { target: plans.target.header.id }),
    },
    o,
  );
  return { plans, pairs, report: compareReport(o, reports, notCompared, counts, later), counts, later };
};

/** Where a second row would come under a key that a row has, nothing is written. `used`: keys that this run gave before. */
const withFreeKeys = async (
  o: TwoWayInput,
  pair: Pair,
  steps: readonly Step[],
  used: Set<string>,
): Promise<readonly Step[]> => {
  const keys = steps.flatMap((s) => (s.second === undefined ? [] : [s.second.key]));
  if (keys.length === 0) return steps;
  const taken = await takenKeys(o, pair, keys);
  return steps.map((step) => {
    if (step.second === undefined) return step;
    const name = JSON.stringify(step.second.key);
    if (taken.has(name) || used.has(name)) return step.second.ifTaken;
    used.add(name);
    return step;
  });
};

/** Records of keys that are as agreed again, or gone on both sides: not of those that were not looked at. */
const closeOthers = async (o: TwoWayInput, run: Run, pair: Pair, met: ReadonlySet<string>): Promise<void> => {
  // a condition of this command alone says nothing of the rows outside it
  if (o.defaults?.filter !== undefined) return;
  const gone: string[] = [];
  const isSeen = pair.sample === undefined ? () => true : inSample(pairSelection(pair, 'source'), pair.sample);
  for await (const batch of o.store.conflicts.waiting(o.sync, pair.name, o)) {
    for (const { id, key, run: of } of batch) if (!met.has(id) && of !== run.id && isSeen(key)) gone.push(id);
  }
  if (gone.length === 0) return;
  await o.store.conflicts.close(gone, { state: 'gone', run: run.id, at: o.clock.now() }, o);
};

const compareReport = (
  o: TwoWayInput,
  pairs: readonly PairReport[],
  more: readonly NotCompared[],
  counts: DecidedCounts,
  later: number,
): CompareReport => {
  const notCompared = [...more, ...pairs.flatMap((p) => p.not_compared)];
  const unsettled = counts.propagated + counts.ruled + counts.resolved + counts.waiting + later;
  const open = pairs.reduce((n, p) => n + p.in_flight + p.duplicate_key, 0);
  const side = (s: 'source' | 'target') => ({ name: o[s].name, engine: o[s].engine, version: o[s].version });
  return {
    verdict: unsettled > 0 ? 'differs' : notCompared.length === 0 && open === 0 ? 'agrees' : 'incomplete',
    coverage: { complete: notCompared.length === 0, not_compared: notCompared },
    source: side('source'),
    target: side('target'),
    pairs,
  };
};
