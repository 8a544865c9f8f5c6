import { randomSeed } from '../../lib/ids.ts';
import { compare } from '../../work/compare.ts';
import { connectBoth } from '../connect.ts';
import type { Command, Context, Flags } from '../context.ts';
import { compareExit } from '../exit.ts';
import { type Job, jobOf } from '../job.ts';
import { openDiffOutput } from '../output/open.ts';
import { progressView } from '../progress.ts';
import { formatFlag, limitFlag } from '../read-flags.ts';
import { differencesFound, limitedSink } from '../shown-limit.ts';

export const diff: Command = async (context, args, flags) => {
  const format = formatFlag(flags);
  const limit = limitFlag(flags, format);
  const job = await jobOf(context, args, flags, false);
  const signal = AbortSignal.any([context.stop, context.now]);
  const began = context.clock.elapsed();
  await using sides = await connectBoth(context, job, signal);
  await using output = openDiffOutput(format, context.out, {
    source: sides.source.name,
    target: sides.target.name,
    sync: job.sync,
  });
  const sink = limitedSink(output, limit);
  using progress = progressView(context);
  const report = await compare({
    source: sides.source,
    target: sides.target,
    ...(job.pairs === undefined ? {} : { pairs: job.pairs }),
    defaults: job.defaults,
    settleMs: job.settleMs,
    clock: context.clock,
    seed: randomSeed(),
    signal,
    sink,
    onProgress: progress.tick,
  });
  progress[Symbol.dispose]();
  await output.end(report, {
    run: null,
    shown: sink.shown,
    truncated: differencesFound(report) > sink.shown,
    elapsedMs: context.clock.elapsed() - began,
    next: nextSteps(context, job, args, flags, report.verdict),
    explain: flags.explain === true,
  });
  return compareExit(report);
};

const nextSteps = (
  _context: Context,
  job: Job,
  args: readonly string[],
  flags: Flags,
  verdict: string,
): readonly string[] => {
  if (flags.quiet || verdict !== 'differs') return [];
  if (job.sync !== null) return [`lockstep plan ${args.join(' ')}`];
  return ['lockstep plan, with the same arguments · to keep them in a file: lockstep init'];
};
