import type { Clock } from '../../lib/clock.ts';
import type { Cancel, Writer } from '../../model/endpoint.ts';
import type { Session } from './session.ts';

export interface WriterContext {
  readonly side: string;
  readonly user: string;
  readonly database: string;
  readonly clock: Clock;
  lend(o: Cancel): Promise<Session>;
  release(session: Session): Promise<void>;
}
export const openWriter = (_x: WriterContext): Writer => {
  throw new Error('not written yet');
};
