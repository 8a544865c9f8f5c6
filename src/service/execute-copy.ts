import { type Config, defaultSettleMs } from '../config/config.ts';
import { randomSeed } from '../lib/ids.ts';
import { LockstepError } from '../model/errors.ts';
import type { JsonValue } from '../model/json.ts';
import { type AssessInput, assess } from '../work/assess.ts';
import { copy } from '../work/copy.ts';
import type { CopyInput } from '../work/copy-input.ts';
import { recorded } from '../work/recorded.ts';
import { jobOfSync, refuseSample, watermarkOf } from './job.ts';
import { basics, type Kind, opened, type RunWork, type RunWorld, syncNamed } from './run-world.ts';

type CopyScope = Pick<CopyInput, 'tables' | 'pairs' | 'excludeTables' | 'types' | 'otherTables'> &
  Pick<AssessInput, 'watermark'>;

/** What a copy or an assessment looks at. */
export const copyScope = (config: Config, { kind, sync, tables }: Kind<'copy' | 'assess'>): CopyScope => {
  if (sync === undefined) {
    const named = tables?.map((t) => ({ source: t }));
    return { ...(named === undefined ? {} : { tables: named }), excludeTables: [], types: new Map() };
  }
  const only = tables === undefined ? {} : { only: tables.map((t) => [t, t] as const) };
  const job = jobOfSync(config, syncNamed(config, sync), only, kind === 'copy');
  if (kind === 'copy') refuseSample(job);
  const { excludeTables, types, pairs, otherTables } = job;
  return { excludeTables, types, ...watermarkOf(job), ...(pairs === undefined ? {} : { pairs, otherTables }) };
};

/** Carries out a copy, or the assessment before one. */
export const copied = async (w: RunWorld, x: RunWork, request: Kind<'copy' | 'assess'>): Promise<void> => {
  const [source, sourceFacts] = await opened(w, request.source, false, x);
  await using _source = source;
  const { target: name } = request;
  // What an assessment would make is asked of an endpoint that may write; nothing is written.
  const writable = request.kind === 'copy' || w.config.endpoints[name ?? '']?.writable === true;
  const [target, targetFacts] = name === undefined ? [] : await opened(w, name, writable, x);
  await using _target = target ?? { [Symbol.asyncDispose]: async () => {} };
  const scope = copyScope(w.config, request);
  if (request.kind === 'copy') {
    if (target === undefined || targetFacts === undefined)
      throw new LockstepError('USAGE', 'a copy needs a target', { hint: 'Name an endpoint that may be written to.' });
    await copy({
      ...basics(w, x),
      ...scope,
      source,
      target,
      facts: { source: sourceFacts, target: targetFacts },
      sync: request.sync ?? null,
      settleMs: defaultSettleMs,
      seed: randomSeed(),
      stop: x.stop,
      version: w.version,
      resume: x.run.id,
    });
    return;
  }
  const begin = { resume: x.run.id, facts: { source: sourceFacts, target: targetFacts ?? null } };
  await recorded(x.store, w.clock, begin, x, async () => {
    const assessment = await assess({
      ...basics(w, x),
      ...scope,
      source,
      ...(target === undefined ? {} : { lookups: target }),
      ...(target?.builder === undefined
        ? {}
        : {
            target: {
              name: target.name,
              engine: target.engine,
              builder: target.builder,
              inspect: target.inspect.bind(target),
            },
          }),
    });
    return { exit: assessment.refused_rows > 0 ? 2 : 0, report: assessment as unknown as JsonValue };
  });
};
