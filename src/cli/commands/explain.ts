import { LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';

export const explain: Command = async () => {
  throw new LockstepError('USAGE', '`lockstep explain` is not there yet');
};
