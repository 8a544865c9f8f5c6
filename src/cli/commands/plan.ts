import { LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';

export const plan: Command = async () => {
  throw new LockstepError('USAGE', '`lockstep plan` is not there yet');
};
