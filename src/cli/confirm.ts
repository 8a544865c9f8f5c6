import { LockstepError } from '../model/errors.ts';
import type { Context, Flags } from './context.ts';

/** Asks before something is written, and takes only the whole word for it; `--yes` answers. Where nobody can be asked, throws USAGE that names the flag. */
export const confirm = async (context: Context, flags: Flags, question: string): Promise<boolean> => {
  if (flags.yes) return true;
  if (!context.interactive) {
    throw new LockstepError('USAGE', `${question} Nobody can be asked here, so nothing was written`, {
      hint: 'Add --yes to go on without being asked.',
    });
  }
  const answer = (await context.ask(`${question} Type yes to go on: `)).trim();
  if (!/^y$/i.test(answer)) return /^yes$/i.test(answer);
  return /^yes$/i.test((await context.ask('Type the whole word yes to go on: ')).trim());
};
