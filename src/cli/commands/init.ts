import { LockstepError } from '../../model/errors.ts';
import type { Command } from '../context.ts';

export const init: Command = async () => {
  throw new LockstepError('USAGE', '`lockstep init` is not there yet');
};
