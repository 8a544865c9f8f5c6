import type { Config } from '../config/config.ts';
import type { RecordEntity } from '../config/records.ts';
import { orStopped } from '../lib/or-stopped.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Endpoints } from '../service/endpoints.ts';
import { type Entity, openEntity } from './entity.ts';

/** The entities of the configuration, each with its table; a table is inspected once, and again when it was altered. */
export interface Entities {
  /** NOT_FOUND for a name that the configuration does not have. */
  of(name: string, o: Cancel): Promise<Entity>;
  /** What is known of it without asking anything; undefined: it is not, or not any more. */
  known(name: string): Entity | undefined;
  /**
   * Runs `work` with the entity; once more with its table read anew when that has been altered meanwhile, and once more
   * from a replica when it only `reads` and the primary has just gone. What `work` throws at once is thrown at once.
   */
  within<T>(name: string, o: Cancel & { readonly reads?: true }, work: (entity: Entity) => Promise<T>): Promise<T>;
}

interface Known {
  readonly config: RecordEntity;
  /** What the endpoint's rows are reached by: another one after a reconnect. */
  readonly through: Endpoint['rows'];
  readonly entity: Promise<Entity>;
  /** Once it is there. */
  settled: Entity | undefined;
}

/** What an altered table makes of statements that were right. */
const altered = (error: unknown): boolean =>
  error instanceof LockstepError && ['SCHEMA_DRIFT', 'COLUMN_NOT_FOUND', 'TABLE_NOT_FOUND'].includes(error.code);

/** What a server that has gone makes of statements that were right. */
const gone = (error: unknown): boolean =>
  error instanceof LockstepError && ['CONNECT', 'CONNECTION_LOST'].includes(error.code);

export const entitiesOf = (x: {
  config(): Config;
  readonly endpoints: Endpoints;
  readonly signal: AbortSignal;
}): Entities => {
  const known = new Map<string, Known>();

  const of = async (name: string, o: Cancel): Promise<Entity> => {
    const config = Object.hasOwn(x.config().records, name) ? x.config().records[name] : undefined;
    if (config === undefined) throw new LockstepError('NOT_FOUND', `there is no entity ${name}`);
    const endpoint = await x.endpoints.shared(config.endpoint, o);
    const found = known.get(name);
    if (found !== undefined && found.config === config && found.through === endpoint.rows)
      return found.settled ?? orStopped(found.entity, o);
    // not with the caller's signal: others wait for it, too
    const entity = openEntity(config, endpoint, { signal: x.signal });
    const made: Known = { config, through: endpoint.rows, entity, settled: undefined };
    known.set(name, made);
    entity.then(
      (there) => {
        made.settled = there;
      },
      () => {
        if (known.get(name) === made) known.delete(name);
      },
    );
    return orStopped(entity, o);
  };

  /** What `of` would give, where nothing needs to be looked at: that is nearly always. */
  const atOnce = (name: string): Entity | undefined => {
    const found = known.get(name);
    if (found?.settled === undefined || found.config !== x.config().records[name]) return undefined;
    return x.endpoints.current(found.config.endpoint)?.rows === found.through ? found.settled : undefined;
  };

  return {
    of,
    known: (name) => {
      const found = known.get(name);
      return found?.settled !== undefined && found.config === x.config().records[name] ? found.settled : undefined;
    },
    within: (name, o, work) => {
      // without a promise more than it takes: there are as many as there are requests in hand
      const by = <T>(entity: Entity, w: (entity: Entity) => Promise<T>): Promise<T> =>
        w(entity).catch(async (error: unknown) => {
          const { endpoint } = entity.config;
          if (altered(error)) known.delete(name);
          else if (!o.reads || !gone(error) || x.config().endpoints[endpoint]?.replicas().length === 0) throw error;
          return await w(await of(name, o));
        });
      const there = atOnce(name);
      return there === undefined ? of(name, o).then((entity) => by(entity, work)) : by(there, work);
    },
  };
};
