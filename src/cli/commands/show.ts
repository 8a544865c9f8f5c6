import { LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';

export const show: Command = async () => {
  throw new LockstepError('USAGE', '`lockstep show` is not there yet');
};
