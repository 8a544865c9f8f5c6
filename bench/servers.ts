import pg from 'pg';
import { startPostgres } from '../test/servers/postgres.ts';

/** One server with two databases, `a` and `b`, for the length of a bench. */
export interface BenchServer extends AsyncDisposable {
  readonly urls: readonly [string, string];
}

export const startBenchServer = async (): Promise<BenchServer> => {
  const server = await startPostgres({
    shared_buffers: '1GB',
    max_wal_size: '8GB',
    wal_level: 'minimal',
    max_wal_senders: '0',
    autovacuum: 'off',
    maintenance_work_mem: '256MB',
  });
  const admin = new pg.Client({ connectionString: server.url() });
  await admin.connect();
  for (const name of ['a', 'b']) await admin.query(`create database ${name}`);
  await admin.end();
  return { urls: [server.url('a'), server.url('b')], [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
};

export const withClients = async <T>(
  urls: readonly string[],
  work: (clients: readonly pg.Client[]) => Promise<T>,
): Promise<T> => {
  const clients = urls.map((url) => new pg.Client({ connectionString: url }));
  for (const c of clients) c.on('error', () => {}); // else a server that ends hides the error that ended it
  try {
    await Promise.all(clients.map((c) => c.connect()));
    return await work(clients);
  } finally {
    await Promise.all(clients.map((c) => c.end()));
  }
};
