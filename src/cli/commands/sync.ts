import { LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';

export const sync: Command = async () => {
  throw new LockstepError('USAGE', '`lockstep sync` is not there yet');
};
