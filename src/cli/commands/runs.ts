import { LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';

export const runs: Command = async () => {
  throw new LockstepError('USAGE', '`lockstep runs` is not there yet');
};
