import { LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';

export const apply: Command = async () => {
  throw new LockstepError('USAGE', '`lockstep apply` is not there yet');
};
