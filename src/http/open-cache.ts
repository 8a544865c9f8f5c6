import { type AnswerCache, openAnswers } from '../cache/answers.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import type { ServiceStore } from '../model/service-store.ts';
import type { Log } from '../telemetry/log.ts';

/** Are answers of any entity to be kept? Then each write is told, also by a server that keeps none until its next start. */
export const keepsAnswers = ({ records }: Pick<Config, 'records'>): boolean =>
  Object.values(records).some((entity) => entity.cache !== false);

/**
 * What keeps answers of the API's records, as the configuration says at this moment: where and how much holds until the
 * next start, how long is looked up for each answer. Undefined: no entity wants it.
 */
export const openCache = (o: {
  config(): Config;
  readonly store: Pick<ServiceStore, 'generations'>;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): AnswerCache | undefined => {
  const config = o.config();
  const settings = config.cache();
  if (!keepsAnswers(config)) return undefined;
  return openAnswers({
    ...settings,
    generations: o.store.generations,
    clock: o.clock,
    signal: o.signal,
    redisChanged: (up, error) => {
      if (up) o.log.info('redis answers again');
      else o.log.warn('redis does not answer, answers are kept in memory only', { error });
    },
  });
};
