import type { Fingerprint } from '../../model/endpoint.ts';
import type { Hashing } from '../../model/reader.ts';
import { id } from '../sql/quote.ts';
import type { PostgresConfig } from './config.ts';
import { hashVectors } from './hash-sql.ts';
import type { Session, StatementOptions } from './session.ts';

/** What the server says of itself, asked once at connect. */
export interface ServerFacts {
  readonly version: string;
  readonly versionNumber: number;
  readonly encoding: string;
  readonly defaultSchema: string | undefined;
  readonly searchPath: string;
  readonly fingerprint: Fingerprint;
  readonly hashForms: Hashing['forms'] | undefined;
}

const quotedPath = (schemas: readonly string[]): string =>
  ['pg_catalog', ...schemas.filter((s) => s !== 'pg_catalog').map(id), 'pg_temp'].join(', ');

export const readFacts = async (
  session: Session,
  config: PostgresConfig,
  o: StatementOptions,
): Promise<ServerFacts> => {
  await session.query('begin read only', undefined, o);
  const [row] = await session.query(
    `select current_setting('server_version'), current_setting('server_version_num'), current_setting('server_encoding'),
            pg_catalog.to_json(pg_catalog.current_schemas(false))::text, d.oid::text, d.datname
     from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()`,
    undefined,
    o,
  );
  const [version, number, encoding, schemas, databaseOid, database] = row!;
  const path = JSON.parse(schemas!) as string[];
  let hashForms: Hashing['forms'] | undefined;
  let system: string | undefined;
  try {
    const [found] = await session.query(
      `select ${hashVectors.map(([sql]) => `(${sql})::text`).join(', ')}`,
      undefined,
      o,
    );
    // hashing works on the bytes the server keeps: they must be UTF-8 for every side to have the same
    if (encoding === 'UTF8' && hashVectors.every(([, known], i) => found![i] === known)) {
      hashForms = Number(number) >= 180_000 ? ['bytes', 'hex'] : ['hex'];
    }
  } catch (error) {
    o.signal.throwIfAborted();
    if (session.broken) throw error;
    await session.rollback();
    await session.query('begin read only', undefined, o);
  }
  try {
    const [found] = await session.query(
      `select system_identifier::text from pg_catalog.pg_control_system()`,
      undefined,
      o,
    );
    system = found![0]!;
  } catch (error) {
    o.signal.throwIfAborted();
    if (session.broken) throw error;
  }
  await session.rollback();
  const address = `${config.host}:${config.port}`;
  return {
    version: `PostgreSQL ${version!.split(' ')[0]}`,
    versionNumber: Number(number),
    encoding: encoding!,
    defaultSchema: path.find((s) => s !== 'pg_catalog'),
    searchPath: quotedPath(path),
    fingerprint: { server: system ?? `at ${address}`, database: `${databaseOid}/${database}`, address },
    hashForms,
  };
};
