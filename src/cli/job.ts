import { type Config, defaultSettleMs } from '../config/config.ts';
import { closest } from '../lib/suggest.ts';
import { LockstepError } from '../model/errors.ts';
import { type Job, jobOfSides, jobOfSync, notWritable, sideOfEntry } from '../service/job.ts';
import type { Side } from '../service/side.ts';
import { configOf } from './config-of.ts';
import { type Context, type Flags, tell } from './context.ts';
import { limitsOf, overridesOf } from './job-flags.ts';
import { namesOfUrls } from './names.ts';
import { pairFlag } from './read-flags.ts';

const urlLike = /^[a-z][a-z0-9+.-]*:/i;
/** A URL, or a reference to one. */
export const isAddress = (text: string | undefined): boolean =>
  text !== undefined && (urlLike.test(text) || text.startsWith('${'));
const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

/** Reads `SYNC` or `SOURCE TARGET [table…]` with the flags. `writes`: the command may write to the target. */
export const jobOf = async (context: Context, args: readonly string[], flags: Flags, writes: boolean): Promise<Job> => {
  const [first, second, ...tables] = args;
  // Two URLs need no configuration: a file that happens to lie here, or is broken, changes nothing.
  const plain = isAddress(first) && isAddress(second) && flags.config === undefined;
  const configured = plain ? undefined : await configOf(context, flags);
  if (first === undefined) {
    const names = Object.keys(configured?.syncs ?? {});
    throw usage(
      'what is to be compared?',
      names.length
        ? `Name a sync of ${configured!.file}: ${names.join(', ')}. Or give two URLs.`
        : 'Give two URLs: lockstep diff SOURCE TARGET, or write a config with `lockstep init SOURCE TARGET`.',
    );
  }
  const isSide = (text: string): boolean => isAddress(text) || configured?.endpoints[text] !== undefined;
  const sync = configured?.syncs[first];
  if (sync && !urlLike.test(first)) {
    const only = [...(second === undefined ? [] : [second, ...tables]), ...(flags.table ?? [])];
    return jobOfSync(configured!, sync, overridesOf(flags, only), writes);
  }
  if (second !== undefined && isSide(first) && isSide(second)) {
    return fromSides(context, configured, first, second, [...tables, ...(flags.table ?? [])], flags, writes);
  }
  throw notASide(configured, first, second, isSide);
};

const notASide = (
  config: Config | undefined,
  first: string,
  second: string | undefined,
  isSide: (t: string) => boolean,
): LockstepError => {
  if (isSide(first) && second === undefined) return usage('the target is missing', 'Give two URLs: SOURCE TARGET.');
  const wrong = isSide(first) ? second! : first;
  if (/[./\\]/.test(wrong) && /\.(db|sqlite3?|db3)$/i.test(wrong)) {
    return usage(`\`${wrong}\` is not a URL`, `An SQLite file is written sqlite:${wrong}.`);
  }
  if (!config) {
    return usage(
      `\`${wrong}\` is not a URL, and there is no config file here that could name it`,
      'URLs look like postgres://user@host/database or sqlite:file.db. `lockstep init SOURCE TARGET` writes a config.',
    );
  }
  const names = [...Object.keys(config.syncs), ...Object.keys(config.endpoints)];
  const meant = closest(wrong, names);
  return new LockstepError('NOT_FOUND', `${config.file} has no sync or endpoint \`${wrong}\``, {
    hint: `${meant === undefined ? '' : `Did you mean ${meant}? `}Syncs: ${Object.keys(config.syncs).join(', ') || 'none'}. Endpoints: ${Object.keys(config.endpoints).join(', ')}.`,
  });
};

const fromSides = async (
  context: Context,
  config: Config | undefined,
  source: string,
  target: string,
  tables: readonly string[],
  flags: Flags,
  writes: boolean,
): Promise<Job> => {
  const { sideOfText, warnOfPasswords } = await import('./side-of-text.ts');
  await warnOfPasswords((text) => tell(context, text), [source, target]);
  const names = namesOfUrls(source, target);
  const side = (text: string, name: string, writable: boolean): Side => {
    const entry = config?.endpoints[text];
    if (entry && config) {
      if (writable && !entry.writable) throw notWritable(config, entry);
      return sideOfEntry(config, entry, writable, limitsOf(flags));
    }
    return { ...sideOfText(context, text, name, writable), ...limitsOf(flags) };
  };
  if (flags.incremental)
    throw usage(
      '--incremental needs a sync of a config file: it starts from where its last comparison ended',
      '`lockstep init SOURCE TARGET` writes one; then: lockstep diff SYNC --incremental.',
    );
  const said = overridesOf(flags, []);
  const mode = said.mode ?? 'mirror';
  if (writes && mode === 'compare') throw usage('--mode compare writes nothing', 'Use lockstep diff.');
  const pairs = tables.map((text) => {
    const [from, to] = pairFlag('--table', text, true);
    return { source: from, ...(text.includes('=') ? { target: to } : {}), ...said.options };
  });
  return jobOfSides(
    config,
    { source: side(source, names[0], false), target: side(target, names[1], writes) },
    pairs.length ? pairs : undefined,
    { ...said, mode, settleMs: said.settleMs ?? defaultSettleMs },
  );
};
