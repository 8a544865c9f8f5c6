import { setImmediate } from 'node:timers/promises';
import { randomSeed } from '../../lib/ids.ts';
import type { CompareReport } from '../../model/report.ts';
import { type ConnectedSides, connectBoth, describeSide } from '../../service/connect.ts';
import { type Job, scopeOf } from '../../service/job.ts';
import type { CompareOptions } from '../../work/compare.ts';
import { compareExit } from '../../work/compare-exit.ts';
import type { SavedDiff } from '../../work/save-diff.ts';
import { type Command, type Context, type Flags, tell } from '../context.ts';
import { jobOf } from '../job.ts';
import { sharesLimit } from '../output/diff-output.ts';
import { type ProgressView, progressView } from '../progress.ts';
import { formatFlag, limitFlag } from '../read-flags.ts';
import { differencesFound, limitedSink, shownCount } from '../shown-limit.ts';

/** All of a comparison but where it starts from. */
type Plain = Omit<CompareOptions, 'incremental'>;

export const diff: Command = async (context, args, flags) => {
  const format = formatFlag(flags);
  const limit = limitFlag(flags, format);
  const job = await jobOf(context, args, flags, false);
  const signal = AbortSignal.any([context.stop, context.now]);
  const began = context.clock.elapsed();
  const connecting = connectBoth(context, job, signal);
  connecting.catch(() => {}); // told where it is awaited
  // The rest is loaded while the databases answer: a process for SQLite takes as long to start.
  await setImmediate();
  const { compare } = await import('../../work/compare.ts');
  const { openDiffOutput } = await import('../output/open.ts');
  await using sides = await connecting;
  await using output = openDiffOutput(format, context.out, {
    source: sides.source.name,
    target: sides.target.name,
    sync: job.sync,
  });
  const sink = limitedSink(output, limit, { shared: sharesLimit(format) });
  using progress = progressView(context);
  const options: Plain = {
    source: sides.source,
    target: sides.target,
    ...scopeOf(job),
    settleMs: job.settleMs,
    clock: context.clock,
    seed: randomSeed(),
    signal,
    sink,
    onProgress: progress.tick,
  };
  // Two URLs open no store and write nothing, anywhere, unless asked to.
  const saves = job.sync !== null || flags.save === true || flags.resume !== undefined;
  const { report, run } = saves
    ? await compareAndSave(context, job, flags, options, { sides, progress })
    : { report: await compare(options), run: null };
  progress[Symbol.dispose]();
  const shares = sink.shares();
  await output.end(report, {
    run,
    shares,
    truncated: differencesFound(report) > shownCount(shares),
    elapsedMs: context.clock.elapsed() - began,
    next: nextSteps(job, args, flags, report.verdict),
    explain: flags.explain === true,
  });
  return compareExit(report);
};

const compareAndSave = async (
  context: Context,
  job: Job,
  flags: Flags,
  options: Plain,
  open: { readonly sides: ConnectedSides; readonly progress: ProgressView },
): Promise<{ readonly report: CompareReport; readonly run: string }> => {
  const { saveDiff } = await import('../../work/save-diff.ts');
  const { factsOf } = await import('../../work/recorded.ts');
  const { askedBy, openControl } = await import('../control.ts');
  await using store = await openControl(context, flags, job.config, options.signal);
  const facts = {
    source: factsOf(open.sides.source, await describeSide(context, job.source)),
    target: factsOf(open.sides.target, await describeSide(context, job.target)),
  };
  const begun: { run?: string } = {};
  try {
    const saved = await saveDiff({
      ...options,
      ...askedBy(context),
      store,
      sync: job.sync,
      ...(job.incremental === undefined ? {} : { incremental: job.incremental }),
      facts,
      exitOf: compareExit,
      onRun: (run) => {
        begun.run = run;
      },
      ...(typeof job.publish === 'object' ? { publish: job.publish } : {}),
      ...(flags.resume === undefined ? {} : { resume: flags.resume }),
    });
    for (const remark of remarks(job, saved)) {
      open.progress.clear();
      await tell(context, remark);
    }
    return { report: saved.compared, run: saved.run };
  } catch (error) {
    open.progress.clear();
    if (begun.run !== undefined && context.stop.aborted) {
      await tell(context, `to go on: the same command with --resume ${begun.run}`);
    }
    throw error;
  }
};

/** What the record of a run does not hold, and what SQL does not show of it. */
const remarks = (job: Job, saved: SavedDiff): readonly string[] => {
  const { run, notKept, published } = saved;
  const first = differencesFound(saved.compared) - notKept;
  const lines = notKept > 0 ? [`run ${run} keeps the first ${first} differences; ${notKept} more were counted`] : [];
  if (job.publish === 'flags' || published?.status === 'mixed')
    lines.push('not shown in SQL: flags made this another comparison than the configured one');
  if (published?.status === 'not_whole')
    lines.push(
      `not shown in SQL: ${published.found} differences, more than \`differences.max\` or than were kept; the views show the comparison before`,
    );
  if (published?.status === 'older') lines.push(`not shown in SQL: run ${published.run} began later`);
  return lines;
};

const nextSteps = (job: Job, args: readonly string[], flags: Flags, verdict: string): readonly string[] => {
  if (flags.quiet || verdict !== 'differs') return [];
  if (job.mode === 'compare') return [];
  if (job.sync !== null) return [`lockstep plan ${args.join(' ')}`];
  return ['lockstep plan, with the same arguments · to keep them in a file: lockstep init'];
};
