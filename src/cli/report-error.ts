import type { Redactor } from '../lib/redact.ts';
import { LockstepError } from '../model/errors.ts';
import type { Out } from './io.ts';
import { styleOf } from './style.ts';

// Everything but line ends: what a server or a file says must not act on the terminal.
const controls = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Text of others in our messages: control characters are shown as `\u{1b}`. */
export const inert = (text: string): string =>
  text.replaceAll(controls, (char) => (char === '\t' ? ' ' : `\\u{${char.charCodeAt(0).toString(16)}}`));

/** The lines a failure is told in: what happened, where, what to do. Never a stack trace, except for a defect of ours with `--verbose`. */
export const errorLines = (error: unknown, redact: Redactor, verbose: boolean): readonly string[] => {
  if (error instanceof LockstepError) {
    const lines = [error.message, ...error.details, ...(error.hint === undefined ? [] : [error.hint])];
    if (verbose && error.cause instanceof Error) lines.push(`cause: ${error.cause.message}`);
    return lines.map((line) => inert(redact.redact(line)));
  }
  const message = error instanceof Error ? error.message : String(error);
  const lines = [
    `unexpected failure: ${message || (error instanceof Error ? error.name : 'no reason given')}`,
    verbose ? '' : 'This is a defect. Run again with --verbose for the details, and report it.',
  ].filter((line) => line !== '');
  if (verbose && error instanceof Error && error.stack) lines.push(...error.stack.split('\n').slice(1));
  return lines.map((line) => inert(redact.redact(line)));
};

/** Tells a failure on stderr and gives the exit code it means. */
export const reportError = async (error: unknown, err: Out, redact: Redactor, verbose: boolean): Promise<number> => {
  const style = styleOf(err.color);
  const known = error instanceof LockstepError;
  const [first, ...rest] = errorLines(error, redact, verbose);
  const code = known ? style.dim(` [${error.code}]`) : '';
  const label = known && error.code === 'ABORTED' ? style.yellow('stopped:') : style.red('error:');
  await err.write(`${label} ${first}${code}\n${rest.map((line) => (line === '' ? '\n' : `  ${line}\n`)).join('')}`);
  return known ? error.exit : 1;
};
