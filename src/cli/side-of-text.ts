import { join } from 'node:path';
import { readDotenv } from '../config/dotenv.ts';
import { plainDocument } from '../config/places.ts';
import { resolveReferences } from '../config/references.ts';
import { redactUrls } from '../lib/redact.ts';
import type { Side } from '../service/side.ts';
import type { Context } from './context.ts';

const passwordOf = (text: string): string | undefined => /^[a-z][a-z0-9+.-]*:\/\/[^/:@]*:(.*)@/is.exec(text)?.[1];

/** One line on how to keep a password out of `ps` and the shell's history. */
export const warnOfPasswords = async (
  tell: (text: string) => Promise<void>,
  urls: readonly string[],
): Promise<void> => {
  if (!urls.some((url) => !url.startsWith('${') && (passwordOf(url) ?? '') !== '' && !/\$\{/.test(passwordOf(url)!)))
    return;
  await tell("warning: a password typed here shows in `ps` and history; write '${env:NAME}'");
};

/** A URL from the command line, which may be or hold references such as `${env:NAME}`, as one side of a job. */
export const sideOfText = (context: Context, text: string, name: string, writable: boolean): Side => ({
  name,
  writable,
  credentials: /\$\{/.test(text) ? [...text.matchAll(/\$\{[^}]*\}/g)].map((m) => m[0]) : [],
  where: `the command line: ${redactUrls(text)}`,
  baseDir: context.cwd,
  connection: () => {
    const dotenv = join(context.cwd, '.env');
    const url = resolveReferences(text, [], plainDocument('command line', undefined), {
      env: context.env,
      dotenv: { file: '.env', values: readDotenv(dotenv) },
      baseDir: context.cwd,
      onSecret: (value) => context.redactor.add(value),
    }) as string;
    const password = passwordOf(url);
    if (password !== undefined && password !== '') context.redactor.add(decode(password));
    return url;
  },
});

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};
