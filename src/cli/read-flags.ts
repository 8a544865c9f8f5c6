import { type Mode, modes } from '../config/modes.ts';
import { durationFlag, parseShare } from '../config/units.ts';
import { closest } from '../lib/suggest.ts';
import { LockstepError } from '../model/errors.ts';
import type { Tolerance } from '../model/pair.ts';
import type { ColumnType } from '../model/schema.ts';
import { typeOfWord, typeWords } from '../model/type-words.ts';
import type { Flags } from './context.ts';
import { defaultLimit, type Format, formats } from './output/diff-output.ts';

/** Reads what was typed after flags; every mistake is a USAGE error that names the flag. */

const usage = (message: string, hint?: string): LockstepError =>
  new LockstepError('USAGE', message, hint === undefined ? {} : { hint });

/** A whole number, at least `least`. */
export const numberFlag = (flag: string, text: string, least = 0): number => {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(n) && n >= least) return n;
  throw usage(`${flag} ${text}: not a whole number${least > 0 ? `, at least ${least}` : ''}`);
};

/** `a,b` once or several times. */
export const listFlag = (values: readonly string[] | string | undefined): readonly string[] | undefined => {
  if (values === undefined) return undefined;
  const names = [values]
    .flat()
    .flatMap((v) => v.split(','))
    .map((v) => v.trim());
  return names.filter((n) => n !== '');
};

/** `a=b`, where a may be written alone when `alone` allows it. */
export const pairFlag = (flag: string, text: string, alone: boolean): readonly [string, string] => {
  const at = text.indexOf('=');
  const [left, right] = at < 0 ? [text, alone ? text : ''] : [text.slice(0, at), text.slice(at + 1)];
  if (left.trim() !== '' && right.trim() !== '') return [left.trim(), right.trim()];
  throw usage(`${flag} ${text}: expected ${alone ? 'name or ' : ''}source=target`);
};

export const mapFlag = (values: readonly string[] | undefined): Readonly<Record<string, string>> | undefined =>
  values && Object.fromEntries(values.map((v) => pairFlag('--map', v, false)));

const toleranceWords = ['ignore_case', 'trim', 'null_equals_empty', 'fraction'];

/** `column=0.01`, `column=fraction:3`, `column=trim`; several for one column add up. */
export const toleranceFlag = (
  values: readonly string[] | undefined,
): Readonly<Record<string, Tolerance>> | undefined => {
  if (values === undefined) return undefined;
  const found: Record<string, Tolerance> = {};
  for (const value of values) {
    const [column, what] = pairFlag('--tolerance', value, false);
    found[column] = { ...found[column], ...toleranceWord(value, what) };
  }
  return found;
};

const toleranceWord = (typed: string, what: string): Tolerance => {
  if (/^\d+(\.\d+)?$/.test(what)) return { numeric: what };
  if (what === 'ignore_case') return { ignoreCase: true };
  if (what === 'trim') return { trim: true };
  if (what === 'null_equals_empty') return { nullEqualsEmpty: true };
  const fraction = /^fraction:([0-6])$/.exec(what)?.[1];
  if (fraction !== undefined) return { fraction: Number(fraction) };
  const meant = closest(what, toleranceWords);
  throw usage(
    `--tolerance ${typed}: ${what} is not a tolerance`,
    `${meant === undefined ? '' : `Did you mean ${meant}? `}Use a number such as 0.01, fraction:3, ignore_case, trim or null_equals_empty.`,
  );
};

export const formatFlag = (flags: Flags): Format => {
  const asked = flags.json ? 'json' : (flags.format ?? 'table');
  if (formats.includes(asked as Format)) return asked as Format;
  throw usage(`--format ${asked}: not a format`, `Formats: ${formats.join(', ')}.`);
};

/** Only the formats that a command has. */
export const formatOf = <F extends Format>(flags: Flags, allowed: readonly F[], command: string): F => {
  const format = formatFlag(flags);
  if (allowed.includes(format as F)) return format as F;
  throw usage(`lockstep ${command} has no --format ${format}`, `Formats of ${command}: ${allowed.join(', ')}.`);
};

/** What `--limit` says; `all`: Infinity. */
export const limitOf = (text: string): number => {
  if (text === 'all') return Number.POSITIVE_INFINITY;
  if (/^\d+$/.test(text)) return numberFlag('--limit', text);
  throw usage(`--limit ${text}: expected 0 or more, or all`);
};

export const limitFlag = (flags: Flags, format: Format): number =>
  flags.limit === undefined ? defaultLimit[format] : limitOf(flags.limit);

/** How many rows a table lists that were not written: a few, unless more or fewer are asked for. */
export const shownRows = (flags: Flags, limit: number): number => (flags.limit === undefined ? 20 : limit);

/** `table.column=type`, each a declared type of a column. */
export const typesFlag = (values: readonly string[] | undefined): ReadonlyMap<string, ColumnType> =>
  new Map(
    (values ?? []).map((text): [string, ColumnType] => {
      const [column, word] = pairFlag('--type', text, false);
      const type = typeOfWord(word);
      if (type !== undefined) return [column, type];
      const meant = closest(word, typeWords);
      throw usage(
        `--type ${text}: ${word} is not a type`,
        `${meant === undefined ? '' : `Did you mean ${meant}? `}Types: ${typeWords.join(', ')}.`,
      );
    }),
  );

export const modeFlag = (text: string): Mode => {
  if (modes.includes(text as Mode)) return text as Mode;
  throw usage(`--mode ${text}: not a mode`, 'Modes: mirror, upsert, insert_only, update_only.');
};

/** A share of the keys, 0 < share <= 1. */
export const sampleFlag = ({ sample }: Flags): number | undefined => {
  if (sample === undefined) return undefined;
  const share = parseShare(sample);
  if (share !== undefined && share > 0) return share;
  throw usage(`--sample ${sample}: not a percentage above 0% and up to 100%`, 'Write --sample 5%.');
};

export const settleFlag = (flags: Flags): number | undefined =>
  flags.settle === undefined ? undefined : durationFlag('--settle', flags.settle);

/** A condition in SQL must hold something. */
export const whereFlags = (flags: Flags): { readonly source?: string; readonly target?: string } | undefined => {
  for (const name of ['where', 'whereSource', 'whereTarget'] as const) {
    if (flags[name] !== undefined && flags[name].trim() === '') throw usage('--where is empty');
  }
  const source = flags.whereSource ?? flags.where;
  const target = flags.whereTarget ?? flags.where;
  if (source === undefined && target === undefined) return undefined;
  return { ...(source === undefined ? {} : { source }), ...(target === undefined ? {} : { target }) };
};
