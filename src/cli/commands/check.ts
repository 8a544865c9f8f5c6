import { LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';

export const check: Command = async () => {
  throw new LockstepError('USAGE', '`lockstep check` is not there yet');
};
