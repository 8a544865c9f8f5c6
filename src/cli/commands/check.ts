import type { Config, EndpointEntry } from '../../config/config.ts';
import { count } from '../../lib/grouped.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { LockstepError } from '../../model/errors.ts';
import { openEntity } from '../../records/entity.ts';
import { connectSide } from '../../service/connect.ts';
import type { Diagnosis } from '../../service/diagnosis.ts';
import { diagnosisOf, examineConfig, examineEndpoint, examineJob } from '../../service/doctor.ts';
import { examineControl } from '../../service/doctor-control.ts';
import { examineRecords, examineReplicas } from '../../service/doctor-records.ts';
import { addressed } from '../../service/endpoints-open.ts';
import { type Job, sideOfEntry } from '../../service/job.ts';
import { configOf } from '../config-of.ts';
import type { Command, Context, Flags } from '../context.ts';
import { lookAtControl } from '../control.ts';
import { isAddress, jobOf } from '../job.ts';
import { limitsOf } from '../job-flags.ts';
import { jsonText } from '../output/json-text.ts';
import { displayWidth, labelled, padEnd } from '../output/text.ts';
import { progressView } from '../progress.ts';
import { formatOf } from '../read-flags.ts';
import { inert } from '../report-error.ts';
import { mustHaveKey, storedKeysOf } from '../stored-keys.ts';
import { type Style, styleOf } from '../style.ts';

export const check: Command = async (context, args, flags) => {
  const format = formatOf(flags, ['table', 'json'] as const, 'check');
  const signal = AbortSignal.any([context.stop, context.now]);
  // Two URLs need no configuration: one that happens to lie here, or is broken, changes nothing.
  const plain = isAddress(args[0]) && isAddress(args[1]) && flags.config === undefined;
  const config = plain ? undefined : await configOf(context, flags);
  if (!config && args.length < 2) {
    throw new LockstepError('USAGE', 'there is no config file here to check', {
      hint: 'Give two URLs, or write a config: lockstep init SOURCE TARGET.',
    });
  }
  using progress = progressView(context);
  const found: Diagnosis[] = [];
  // Two URLs are compared without one.
  if (!plain || flags.control !== undefined)
    found.push(...(await examineControl(() => lookAtControl(context, flags, config, signal))));
  if (config) found.push(...examineConfig(config), ...examineStored(context, config));
  for (const job of await jobsOf(context, config, args, flags)) {
    progress.tick({ pair: job.sync ?? '', phase: 'inspect', rows: 0 });
    for (const d of await examineJob((side, stop) => connectSide(context, side, stop), job, signal, config)) {
      if (!found.some((f) => f.about === d.about && f.code === d.code && f.message === d.message)) found.push(d);
    }
  }
  if (config && args.length === 0) {
    found.push(...(await examineUnused(context, config, flags, signal)));
    found.push(...(await examineServed(context, config, flags, signal)));
  }
  progress[Symbol.dispose]();
  const redacted = found.map((d) => ({
    ...d,
    message: context.redactor.redact(d.message),
    ...(d.fix === undefined ? {} : { fix: context.redactor.redact(d.fix) }),
  }));
  if (format === 'json') await asJson(context, redacted);
  else await asTable(context, redacted);
  return redacted.find((d) => d.exit !== undefined)?.exit ?? 0;
};

/** Columns that shall be concealed, and no key to do it with: every command with a control store would refuse that. */
const examineStored = (context: Context, config: Config): readonly Diagnosis[] => {
  try {
    mustHaveKey(config, storedKeysOf(context, config));
    return [];
  } catch (error) {
    return [diagnosisOf('config', error)];
  }
};

const jobsOf = async (
  context: Context,
  config: Config | undefined,
  args: readonly string[],
  flags: Flags,
): Promise<readonly Job[]> => {
  const [first, ...tables] = args;
  const named = first === undefined ? undefined : config?.syncs[first];
  if (!config || (first !== undefined && named === undefined)) return [await jobOf(context, args, flags, false)];
  const jobs: Job[] = [];
  for (const sync of named === undefined ? Object.values(config.syncs) : [named]) {
    const target = config.endpoints[sync.target]!;
    const writes = target.writable && sync.mode !== 'compare';
    jobs.push(await jobOf(context, [sync.name, ...tables], flags, writes));
  }
  return jobs;
};

/** Endpoints that no sync names are reached too. */
const examineUnused = async (
  context: Context,
  config: Config,
  flags: Flags,
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> => {
  const used = new Set(Object.values(config.syncs).flatMap((s) => [s.source, s.target]));
  const found: Diagnosis[] = [];
  for (const entry of Object.values(config.endpoints).filter((e) => !used.has(e.name))) {
    try {
      await using endpoint = await connectSide(
        context,
        sideOfEntry(config, entry, entry.writable, limitsOf(flags)),
        signal,
      );
      found.push(...(await examineEndpoint(endpoint, [], entry.writable, signal, config)));
    } catch (error) {
      found.push(diagnosisOf(entry.name, error));
    }
  }
  return found;
};

/** What is only used by a service: tables of records, replicas. An endpoint that cannot be reached was told already. */
const examineServed = async (
  context: Context,
  config: Config,
  flags: Flags,
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> => {
  const found: Diagnosis[] = [];
  const open = (entry: EndpointEntry, writable: boolean): Promise<Endpoint> =>
    connectSide(context, sideOfEntry(config, entry, writable, limitsOf(flags)), signal);
  for (const entry of Object.values(config.endpoints)) {
    const recorded = Object.values(config.records).filter((r) => r.endpoint === entry.name);
    try {
      const replicas = entry.replicas().length;
      if (recorded.length === 0 && replicas === 0) continue;
      await using endpoint = await open(entry, entry.writable);
      for (const entity of recorded) {
        try {
          await openEntity(entity, endpoint, { signal });
        } catch (error) {
          found.push(diagnosisOf(entry.name, error));
        }
      }
      found.push(...(await examineRecords(config, endpoint, signal)));
      found.push(...(await examineReplicas(endpoint, replicas, (i) => open(addressed(entry, i), false), signal)));
    } catch (error) {
      const failure = diagnosisOf(entry.name, error);
      if (failure.code !== 'connect') found.push(failure);
    }
  }
  return found;
};

const asJson = (context: Context, found: readonly Diagnosis[]): Promise<void> =>
  context.out.write(
    `${jsonText({ schema_version: 1, ok: found.every((d) => d.level !== 'error'), findings: found.map(({ exit: _, ...d }) => d) })}\n`,
  );

const mark = (level: Diagnosis['level'], style: Style): string =>
  ({
    ok: style.green('ok      '),
    advice: style.cyan('advice  '),
    warning: style.yellow('warning '),
    error: style.red('error   '),
  })[level];

const asTable = async (context: Context, found: readonly Diagnosis[]): Promise<void> => {
  const style = styleOf(context.out.color);
  const names = Math.max(0, ...found.map((d) => displayWidth(d.about)));
  const width = context.out.isTTY ? context.out.columns : Number.POSITIVE_INFINITY;
  for (const d of found) {
    const label = `  ${mark(d.level, style)}  ${style.bold(padEnd(d.about, names))}`;
    await context.out.write(`${labelled(label, inert(d.message), names + 14, width)}\n`);
    // A statement to copy stays on one line.
    if (d.fix !== undefined) await context.out.write(`            ${inert(d.fix)}\n`);
  }
  const of = (level: Diagnosis['level']): number => found.filter((d) => d.level === level).length;
  await context.out.write(
    `\n  ${of('ok')} ok, ${of('advice')} advice, ${count(of('warning'), 'warning')}, ${count(of('error'), 'error')}\n`,
  );
};
