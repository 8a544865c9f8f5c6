import { closest } from '../lib/suggest.ts';
import { valueAt } from '../lib/value-at.ts';
import { LockstepError } from '../model/errors.ts';
import { keysAt } from './json-schema.ts';
import type { ConfigDocument } from './places.ts';
import { type ConfigFile, configSchema } from './schema.ts';

interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
  readonly errors?: readonly (readonly Issue[])[];
}

/** A problem with its place, as it is printed: a first line and a frame. */
interface Complaint {
  readonly head: string;
  readonly frame: readonly string[];
  readonly hint: string | undefined;
}

/** Replaces "no branch of the union fits" by what is wrong inside the branch that was meant, when that is plain. */
const flatten = (issue: Issue): readonly Issue[] => {
  if (issue.code !== 'invalid_union' || !issue.errors) return [issue];
  const meant = issue.errors.filter((branch) =>
    branch.every((i) => i.path.length > 0 || i.code === 'unrecognized_keys'),
  );
  if (meant.length !== 1) return [issue];
  return meant[0]!.flatMap((inner) => flatten({ ...inner, path: [...issue.path, ...inner.path] }));
};

const pathText = (path: readonly PropertyKey[]): string =>
  path.map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i ? '.' : ''}${String(step)}`)).join('');

const complain = (
  document: ConfigDocument,
  path: readonly PropertyKey[],
  of: 'key' | 'value',
  what: string,
  note?: string,
): Complaint => {
  const at = document.place(path, of);
  return {
    head: `${document.file}${at ? `:${at.line}:${at.column}` : ''}: ${what}${at ? '' : ` (at ${pathText(path) || 'the top'})`}`,
    frame: at ? document.frame(at, note) : note ? [`  ${note}`] : [],
    hint: undefined,
  };
};

/** What YAML 1.1 took for true and false. */
const flagWords = new Map(
  ['yes', 'on', 'y', 'no', 'off', 'n'].map((word, i) => [word, i < 3 ? 'true' : 'false'] as const),
);

const complaints = (document: ConfigDocument, issue: Issue): readonly Complaint[] => {
  const where = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const allowed = keysAt(issue.path);
    return (issue.keys ?? []).map((key) => {
      const meant = closest(key, allowed);
      const complaint = complain(
        document,
        [...issue.path, key],
        'key',
        `unknown key \`${key}\`${where ? ` in ${where}` : ''}`,
        meant === undefined ? undefined : `did you mean ${meant}?`,
      );
      return {
        ...complaint,
        hint: allowed.length ? `Keys here: ${allowed.filter((k) => k !== '$schema').join(', ')}.` : undefined,
      };
    });
  }
  if (issue.code === 'invalid_key' || issue.code === 'invalid_format') {
    return [
      complain(
        document,
        issue.path,
        'key',
        `${where}: ${issue.code === 'invalid_key' ? 'not a name (letters, digits, _ . -, starting with a letter)' : issue.message}`,
      ),
    ];
  }
  const value = valueAt(document.value, issue.path);
  const expected = /^expected (?:one of )?(.+)$/.exec(issue.message)?.[1];
  const missing = value === undefined && expected !== undefined;
  const what = missing
    ? `is missing${expected === 'text' ? '' : `: ${issue.message}`}`
    : issue.path.length === 0 && issue.code === 'invalid_type'
      ? 'expected settings by their names, such as version, endpoints and syncs'
      : issue.message;
  const flag =
    issue.message === 'expected true or false' && typeof value === 'string'
      ? flagWords.get(value.toLowerCase())
      : undefined;
  const meant =
    issue.message.startsWith('expected one of ') && typeof value === 'string'
      ? closest(value, expected!.split(', '))
      : undefined;
  const note =
    flag !== undefined
      ? `write ${flag}: \`${String(value)}\` is a text in YAML 1.2`
      : meant === undefined
        ? undefined
        : `did you mean ${meant}?`;
  return [complain(document, issue.path, 'value', `${where || 'the file'}: ${what}`, note)];
};

const fail = (found: readonly Complaint[]): never => {
  const [first, ...rest] = found;
  const more = rest.slice(0, 9).flatMap((c) => ['', c.head, ...c.frame]);
  if (rest.length > 9) more.push('', `and ${rest.length - 9} more`);
  throw new LockstepError('CONFIG', first!.head, {
    details: [...first!.frame, ...more],
    ...(first!.hint === undefined ? {} : { hint: first!.hint }),
  });
};

/** One error in the words of the config file, for what a schema cannot say (an unknown endpoint, two settings that clash). */
export const configError = (
  document: ConfigDocument,
  path: readonly PropertyKey[],
  what: string,
  o: { readonly note?: string | undefined; readonly hint?: string; readonly of?: 'key' | 'value' } = {},
): LockstepError => {
  const complaint = complain(document, path, o.of ?? 'value', what, o.note);
  return new LockstepError('CONFIG', complaint.head, {
    details: complaint.frame,
    ...(o.hint === undefined ? {} : { hint: o.hint }),
  });
};

/** The config as written, or one CONFIG error that shows every mistake with its place. */
export const validateConfig = (document: ConfigDocument): ConfigFile => {
  if (document.value === null || document.value === undefined) {
    throw new LockstepError('CONFIG', `${document.file} is empty`, {
      hint: '`lockstep init SOURCE TARGET` writes one.',
    });
  }
  const result = configSchema.safeParse(document.value);
  if (!result.success) {
    const issues = result.error.issues as unknown as readonly Issue[];
    fail(issues.flatMap(flatten).flatMap((issue) => complaints(document, issue)));
  }
  return result.data as ConfigFile;
};
