import type { Finding } from '../../model/endpoint.ts';
import type { Table } from '../../model/schema.ts';
import type { PostgresConfig } from './config.ts';
import type { Session, StatementOptions } from './session.ts';

export const examine = async (
  _session: Session,
  _config: PostgresConfig,
  _x: { readonly tables: readonly Table[]; readonly writable: boolean },
  _o: StatementOptions,
): Promise<readonly Finding[]> => [];
