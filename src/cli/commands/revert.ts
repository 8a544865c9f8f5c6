import { LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';

export const revert: Command = async () => {
  throw new LockstepError('USAGE', '`lockstep revert` is not there yet');
};
