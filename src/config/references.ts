import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { LockstepError } from '../model/errors.ts';
import type { ConfigDocument } from './places.ts';

/** Where references find their values. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of the .env file, and what it sets; undefined when there is no such file. */
  readonly dotenv: { readonly file: string; readonly values: Readonly<Record<string, string>> | undefined };
  /** Folder that relative `${file:…}` paths start from. */
  readonly baseDir: string;
  /** Told each value that came from a reference, so that it can be kept out of messages. */
  readonly onSecret?: (value: string) => void;
}

const pattern = /\$\{([a-z]+):([^}]*)\}/g;

export const hasReference = (value: unknown): boolean => typeof value === 'string' && /\$\{[a-z]+:[^}]*\}/.test(value);

/** Replaces `${env:NAME}` and `${file:path}` in every text below `value`. Throws SECRET_MISSING with file and line. */
export const resolveReferences = (
  value: unknown,
  path: readonly PropertyKey[],
  document: ConfigDocument,
  around: Surroundings,
): unknown => {
  if (typeof value === 'string') return resolveText(value, path, document, around);
  if (Array.isArray(value)) return value.map((v, i) => resolveReferences(v, [...path, i], document, around));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([k, v]) => [k, resolveReferences(v, [...path, k], document, around)]),
    );
  }
  return value;
};

const resolveText = (
  text: string,
  path: readonly PropertyKey[],
  document: ConfigDocument,
  around: Surroundings,
): string =>
  text.replaceAll(pattern, (whole, kind: string, name: string) => {
    const at = document.place(path);
    const where = `${document.file}${at ? `:${at.line}` : ''}`;
    const frame = at ? document.frame(at) : [];
    if (kind === 'env') return heard(path, around, envValue(name, whole, where, frame, around));
    if (kind === 'file') return heard(path, around, fileValue(name, whole, where, frame, around));
    throw new LockstepError('CONFIG', `${where}: \${${kind}:…} is not a kind of reference`, {
      details: frame,
      hint: 'References are ${env:NAME} and ${file:path}.',
    });
  });

/** Tells the secret part of a value: a URL's password, or all of it where the key says that it is one; a host is none. */
const heard = (path: readonly PropertyKey[], around: Surroundings, value: string): string => {
  const password = /^[a-z][a-z0-9+.-]*:\/\/[^/:@]*:(.*)@/is.exec(value)?.[1];
  if (password !== undefined) around.onSecret?.(decodeSafely(password));
  else if (/password|secret|token|api.?key|^key$|^bearer$|^value$/i.test(String(path.at(-1)))) around.onSecret?.(value);
  return value;
};

const decodeSafely = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const envValue = (
  name: string,
  whole: string,
  where: string,
  frame: readonly string[],
  around: Surroundings,
): string => {
  const value = around.env[name] ?? around.dotenv.values?.[name];
  if (value !== undefined && value !== '') return value;
  const dotenv =
    around.dotenv.values === undefined
      ? `${around.dotenv.file} (there is no such file)`
      : `${around.dotenv.file} (sets ${Object.keys(around.dotenv.values).length} other names)`;
  throw new LockstepError('SECRET_MISSING', `${whole} is ${value === '' ? 'empty' : 'not set'} (${where})`, {
    details: [...frame, `  looked in: the environment, ${dotenv}`],
    hint: `Set it: export ${name}=…, or write ${name}=… into ${around.dotenv.file}.`,
  });
};

const fileValue = (
  name: string,
  whole: string,
  where: string,
  frame: readonly string[],
  around: Surroundings,
): string => {
  const file = resolve(around.baseDir, name);
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'no right to read it' : String(code);
    throw new LockstepError('SECRET_MISSING', `${whole} cannot be read (${where}): ${why}`, {
      details: [...frame, `  looked at: ${file}`],
      hint: 'Relative paths start at the config file’s folder.',
      cause,
    });
  }
};
