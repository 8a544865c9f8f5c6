import { LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';

export const completion: Command = async () => {
  throw new LockstepError('USAGE', '`lockstep completion` is not there yet');
};
