import { mysql } from '../../src/engines/mysql/index.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { never } from './postgres-support.ts';

export const connect = (
  url: string | Readonly<Record<string, unknown>>,
  o: {
    readonly writable?: boolean;
    readonly rowsPerSecond?: number;
    readonly statementTimeoutMs?: number;
    readonly name?: string;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Endpoint> => mysql.connect(mysql.parse(url), { name: 'db', writable: false, signal: never, ...o });
