import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { randomSeed } from '../../lib/ids.ts';
import { LockstepError } from '../../model/errors.ts';
import { connectBoth, describeSide } from '../../service/connect.ts';
import { refuseSample } from '../../service/job.ts';
import { copy as copyWork } from '../../work/copy.ts';
import { factsOf } from '../../work/recorded.ts';
import { confirm } from '../confirm.ts';
import { type Command, tell } from '../context.ts';
import { askedBy, openControl } from '../control.ts';
import { exitCodes } from '../exit.ts';
import { jobOf } from '../job.ts';
import { certificateText } from '../output/certificate-view.ts';
import { progressView } from '../progress.ts';
import { formatOf, typesFlag } from '../read-flags.ts';
import { announceStop } from '../stopping.ts';

export const copy: Command = async (context, args, flags) => {
  const format = formatOf(flags, ['table', 'json'] as const, 'copy');
  const job = await jobOf(context, args, flags, true);
  refuseSample(job);
  const types = new Map([...job.types, ...typesFlag(flags.type)]);
  if (!flags.yes && !context.interactive)
    throw new LockstepError('USAGE', 'lockstep copy writes to the target, and nobody can be asked here', {
      hint: 'Add --yes to go on without being asked.',
    });
  await using sides = await connectBoth(context, job, context.now);
  const facts = {
    source: factsOf(sides.source, await describeSide(context, job.source)),
    target: factsOf(sides.target, await describeSide(context, job.target)),
  };
  const question = `Copy ${facts.source.description} into ${facts.target.description}? Missing tables are made there.`;
  if (!flags.yes && !(await confirm(context, flags, question))) {
    await tell(context, 'Declined: nothing was written.');
    return exitCodes.usage;
  }
  await using store = await openControl(context, flags, job.config, context.now);
  using progress = progressView(context);
  using _stopping = announceStop(context, progress);
  let begun: string | undefined;
  try {
    const copied = await copyWork({
      ...askedBy(context),
      store,
      source: sides.source,
      target: sides.target,
      facts,
      sync: job.sync,
      ...(job.sync === null || job.pairs === undefined ? {} : { pairs: job.pairs, otherTables: job.otherTables }),
      ...(job.sync !== null || job.pairs === undefined
        ? {}
        : {
            tables: job.pairs.map((p) => ({
              source: p.source,
              ...(p.target === undefined ? {} : { target: p.target }),
            })),
          }),
      excludeTables: job.excludeTables,
      types,
      settleMs: job.settleMs,
      clock: context.clock,
      seed: randomSeed(),
      signal: context.now,
      stop: context.stop,
      version: context.version,
      ...(flags.resume === undefined ? {} : { resume: flags.resume }),
      onProgress: progress.tick,
      onRun: (run) => {
        begun = run;
      },
    });
    progress[Symbol.dispose]();
    const { certificate } = copied;
    if (certificate === undefined) {
      await tell(context, `${copied.interrupted!.message}\n  to go on: the same command with --resume ${copied.run}`);
      return copied.exit;
    }
    const json = `${JSON.stringify(certificate, null, 2)}\n`;
    if (flags.out !== undefined) await writeFile(resolve(context.cwd, flags.out), json);
    if (format === 'json') await context.out.write(json);
    else await certificateText(context.out, certificate);
    return copied.exit;
  } catch (error) {
    progress.clear();
    if (begun !== undefined) await tell(context, `to go on: the same command with --resume ${begun}`);
    throw error;
  }
};
