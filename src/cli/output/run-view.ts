import type { Phase, Run } from '../../model/runs.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { styleOf } from '../style.ts';
import { jsonText } from './json-text.ts';
import { writeList } from './list.ts';
import { columnsOf, duration, utc, utcOrNull } from './text.ts';

type Paused = NonNullable<NonNullable<Run['asked']>['paused']>;

/** What a run is doing, or how it ended; a run that nobody works on any more is `interrupted`. */
export const stateOf = (run: Run): string => (run.state === 'running' && !run.alive ? 'interrupted' : run.state);

export const runJson = (run: Run): Record<string, unknown> => ({
  id: run.id,
  kind: run.kind,
  sync: run.sync,
  state: stateOf(run),
  exit: run.exit,
  started: utc(run.started),
  finished: utcOrNull(run.finished),
  source: run.source && { name: run.source.name, engine: run.source.engine, description: run.source.description },
  target: run.target && { name: run.target.name, engine: run.target.engine, description: run.target.description },
  plan: run.plan,
  parent: run.parent,
  paused: run.asked?.paused ? { by: run.asked.paused.by, since: utc(run.asked.paused.since) } : null,
  actor: run.actor,
  correlation: run.correlation,
  error: run.error,
});

/** Why a queued run has not begun. */
const waitsOf = ({ by, since }: Paused): string =>
  `its sync is paused since ${utc(since)} by ${inert(by)}: it begins when that is resumed`;

const resultOf = (run: Run): string => {
  if (run.error !== null) return `${run.error.code}: ${run.error.message}`;
  if (run.asked?.paused) return `waits: paused since ${utc(run.asked.paused.since)} by ${run.asked.paused.by}`;
  const report = (run.report ?? {}) as {
    verdict?: string;
    applied?: { insert: number; update: number; delete: number };
  };
  const parts: string[] = [];
  if (report.applied) parts.push(`+${report.applied.insert} ~${report.applied.update} -${report.applied.delete}`);
  if (report.verdict !== undefined) parts.push(report.verdict);
  return parts.join(' · ');
};

export const runsJson = (out: Out, runs: readonly Run[]): Promise<void> =>
  out.write(`${jsonText({ schema_version: 1, runs: runs.map(runJson) })}\n`);

export const runsTable = async (out: Out, runs: readonly Run[]): Promise<void> => {
  if (runs.length === 0) {
    await out.write('  no runs yet\n');
    return;
  }
  const rows = runs.map((run) => [
    run.id,
    run.kind,
    run.sync ?? `${run.source?.name ?? ''}${run.source ? ' → ' : ''}${run.target?.name ?? ''}`,
    utc(run.started),
    run.finished === null ? '' : duration(run.finished - run.started),
    stateOf(run),
    run.exit === null ? '' : String(run.exit),
    inert(resultOf(run)).slice(0, 80),
  ]);
  const head = ['RUN', 'KIND', 'WHAT', 'STARTED', 'TOOK', 'STATE', 'EXIT', 'RESULT'];
  await writeList(out, head, rows, (i) => i === 4 || i === 6);
};

const phaseText = (phase: Phase): string =>
  phase.finished === undefined ? `${phase.name} …` : `${phase.name} ${duration(phase.finished - phase.started)}`;

/** The head of one run: what, where, when, how it ended. */
export const runHead = async (out: Out, run: Run): Promise<void> => {
  const style = styleOf(out.color);
  const rows = [
    ['  run', `${style.bold(run.id)}   ${run.kind}${run.sync === null ? '' : ` of ${run.sync}`}`],
    ['  state', `${stateOf(run)}${run.exit === null ? '' : `, exit ${run.exit}`}`],
    ...(run.asked?.paused ? [['  waits', waitsOf(run.asked.paused)]] : []),
    [
      '  when',
      `${utc(run.started)}${run.finished === null ? '' : `, took ${duration(run.finished - run.started)}`}, by ${inert(run.actor)}`,
    ],
    ...(run.source
      ? [['  source', `${run.source.name}   ${inert(run.source.description)}   ${run.source.version}`]]
      : []),
    ...(run.target
      ? [['  target', `${run.target.name}   ${inert(run.target.description)}   ${run.target.version}`]]
      : []),
    ...(run.phases.length === 0 ? [] : [['  phases', run.phases.map(phaseText).join(' · ')]]),
    ...(run.plan === null ? [] : [['  plan', run.plan]]),
    ...(run.parent === null ? [] : [['  belongs to', run.parent]]),
    ...(run.error === null
      ? []
      : [
          ['  error', inert(`${run.error.message} [${run.error.code}]`)],
          ['', inert(run.error.hint ?? '')],
        ]),
  ];
  await out.write(
    `${columnsOf(
      rows.filter((r) => r[1] !== ''),
      () => false,
    ).join('\n')}\n`,
  );
};
