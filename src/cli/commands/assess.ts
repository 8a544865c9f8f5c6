import { connectSide } from '../../service/connect.ts';
import { watermarkOf } from '../../service/job.ts';
import { assess as assessWork } from '../../work/assess.ts';
import { configOf } from '../config-of.ts';
import type { Command } from '../context.ts';
import { isAddress, jobOf } from '../job.ts';
import { assessText } from '../output/assess-view.ts';
import { progressView } from '../progress.ts';
import { formatOf, typesFlag } from '../read-flags.ts';

export const assess: Command = async (context, args, flags) => {
  const format = formatOf(flags, ['table', 'json'] as const, 'assess');
  const types = typesFlag(flags.type);
  const [first] = args;
  const alone = args.length < 2;
  const sync = first !== undefined && !isAddress(first) && (await configOf(context, flags))?.syncs[first] !== undefined;
  const job = await jobOf(context, alone && !sync && first !== undefined ? [first, first] : args, flags, false);
  const signal = AbortSignal.any([context.stop, context.now]);
  await using source = await connectSide(context, job.source, signal);
  // what it would make is asked of an endpoint that may write; nothing is written
  await using target =
    alone && job.sync === null ? undefined : await connectSide(context, { ...job.target, writable: true }, signal);
  using progress = progressView(context);
  const assessment = await assessWork({
    source,
    ...(target?.builder === undefined ? {} : { target: { ...named(target), builder: target.builder } }),
    ...(target === undefined ? {} : { lookups: target }),
    ...watermarkOf(job),
    ...(job.sync === null || job.pairs === undefined ? {} : { pairs: job.pairs }),
    ...(job.sync !== null || job.pairs === undefined
      ? {}
      : {
          tables: job.pairs.map((p) => ({ source: p.source, ...(p.target === undefined ? {} : { target: p.target }) })),
        }),
    excludeTables: job.excludeTables,
    types: new Map([...job.types, ...types]),
    clock: context.clock,
    signal,
    onProgress: progress.tick,
  });
  progress[Symbol.dispose]();
  if (format === 'json') await context.out.write(`${JSON.stringify(assessment, null, 2)}\n`);
  else await assessText(context.out, assessment);
  return assessment.refused_rows > 0 ? 2 : 0;
};

const named = (target: Awaited<ReturnType<typeof connectSide>>) => ({
  name: target.name,
  engine: target.engine,
  inspect: target.inspect.bind(target),
});
