import type { Config } from '../config/config.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import { tableLabel } from '../model/schema.ts';
import type { Diagnosis } from './diagnosis.ts';
import { examineEntity } from './doctor-indexes.ts';

/** Tables of the records on this endpoint: are they there, and would requests find their rows by an index? */
export const examineRecords = async (
  config: Config,
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> => {
  const entities = Object.values(config.records).filter((e) => e.endpoint === endpoint.name);
  if (entities.length === 0) return [];
  const schemas = [...new Set(entities.flatMap((e) => (e.table.includes('.') ? [e.table.split('.')[0]!] : [])))];
  const { tables, defaultSchema } = await endpoint.inspect({ signal, ...(schemas.length === 0 ? {} : { schemas }) });
  return entities.flatMap((entity): readonly Diagnosis[] => {
    const found =
      tables.find((t) => tableLabel(t) === entity.table) ??
      tables.find((t) => t.name === entity.table && (t.schema === undefined || t.schema === defaultSchema));
    // what else is wrong with a name is told by whoever reads the table
    return found === undefined ? [] : examineEntity(entity, found, endpoint);
  });
};

/** Can each replica be reached, and is it a copy of this very server? */
export const examineReplicas = async (
  endpoint: Endpoint,
  replicas: number,
  open: (index: number, signal: AbortSignal) => Promise<Endpoint>,
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> => {
  const about = endpoint.name;
  const found: Diagnosis[] = [];
  const say = (level: Diagnosis['level'], code: string, message: string, fix?: string): void =>
    void found.push({ about, level, code, message, ...(fix === undefined ? {} : { fix }) });
  if (replicas > 0 && endpoint.role === undefined) {
    const message = `replicas work with PostgreSQL, and this is ${endpoint.engine}`;
    return [{ about, level: 'error', code: 'replica', message, fix: 'Leave them out.', exit: 20 }];
  }
  for (let i = 0; i < replicas; i++) {
    try {
      await using replica = await open(i, signal);
      const { address, server, database } = replica.fingerprint;
      const role = await replica.role?.({ signal });
      if (server !== endpoint.fingerprint.server || database !== endpoint.fingerprint.database)
        say(
          'error',
          'replica',
          `the replica ${address} is another server or database than ${endpoint.fingerprint.address}, and is never read instead of it`,
          'List only streaming replicas of the same server, with the same database.',
        );
      else if (role?.standby)
        say(
          'ok',
          'replica',
          `the replica ${address} follows it${role.behindMs === null ? '' : `, ${role.behindMs} ms behind`}`,
        );
      else
        say(
          'warning',
          'replica',
          `the replica ${address} takes writes: it was promoted, and the newer of the two is used`,
        );
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      signal.throwIfAborted();
      say('warning', 'replica', `replica ${i + 1} cannot be used: ${error.message}`, error.hint);
    }
  }
  return found;
};
