import { redactor } from '../lib/redact.ts';
import { LockstepError } from '../model/errors.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit.ts';
import { readCommandLine } from './program.ts';
import { reportError } from './report-error.ts';

/** What `main.ts` gives; the rest of the context follows from the flags. */
export interface World extends Omit<Context, 'redactor' | 'interactive' | 'quiet' | 'verbose' | 'demo'> {
  readonly canAsk: boolean;
  readonly demo: (context: Context, flags: { readonly once: boolean }) => Promise<number>;
}

/** Reads the command line, runs the command, tells failures; the process's exit code. */
export const runCommandLine = async (args: readonly string[], world: World): Promise<number> => {
  const secrets = redactor();
  const verbose = args.includes('--verbose');
  try {
    const asked = readCommandLine(args);
    if (asked.kind === 'help') {
      await (asked.asked ? world.out : world.err).write(asked.text);
      return asked.asked ? exitCodes.ok : exitCodes.usage;
    }
    const { flags } = asked;
    const context: Context = {
      ...world,
      redactor: secrets,
      interactive: world.canAsk && flags.input !== false,
      quiet: flags.quiet === true,
      verbose,
      demo: (_args, given) => world.demo(context, { once: given['once'] === true }),
    };
    const command = await asked.command.load();
    return await command(context, asked.args, flags);
  } catch (error) {
    const stopped = world.stop.aborted && !(error instanceof LockstepError && error.code !== 'ABORTED');
    if (stopped) return await stoppedCode(error, world, secrets, verbose);
    return await reportError(error, world.err, secrets, verbose);
  }
};

/** Ctrl-C is told once and in one line; what the command said about going on stands before it. */
const stoppedCode = async (
  error: unknown,
  world: World,
  secrets: ReturnType<typeof redactor>,
  verbose: boolean,
): Promise<number> => {
  await world.err.write('stopped: nothing was left half-written\n');
  if (verbose && error instanceof LockstepError) await reportError(error, world.err, secrets, verbose);
  return exitCodes.interrupted;
};
