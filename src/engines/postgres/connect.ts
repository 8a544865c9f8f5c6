import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { LockstepError } from '../../model/errors.ts';
import type { PostgresConfig } from './config.ts';
import { type ServerFailure, sqlState } from './failures.ts';
import { passwordFromFile } from './passfile.ts';
import { explainTls } from './tls.ts';

/** Values arrive as the text the server wrote: the driver's own parsers lose digits and microseconds. */
const rawText = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

const where = (c: PostgresConfig): string =>
  c.host.startsWith('/') ? `${c.host} (port ${c.port})` : `${c.host}:${c.port}`;

const explainConnect = async (
  error: ServerFailure,
  c: PostgresConfig,
  tls: ConnectionOptions | undefined,
  name: string,
  passfile: string | undefined,
): Promise<LockstepError> => {
  const fail = (code: 'CONNECT' | 'AUTH' | 'PRIVILEGE' | 'TLS', message: string, hint: string): LockstepError =>
    new LockstepError(code, `${name}: ${message}`, { hint, side: name, cause: error });
  const user = `"${c.user.replaceAll('"', '""')}"`;
  switch (sqlState(error)) {
    case '28P01':
      return fail(
        'AUTH',
        `the server at ${where(c)} refused the password of ${c.user}`,
        'Check user and password. In a URL, @ : / ? # % of a password are percent-encoded; by parts nothing is escaped.',
      );
    case '28000':
      return /no encryption|SSL off/i.test(error.message)
        ? fail(
            'TLS',
            `the server at ${where(c)} lets ${c.user} in only with TLS: ${error.message}`,
            'Add sslmode=verify-full to the URL, or `tls: { mode: verify-full }` to the endpoint.',
          )
        : fail(
            'AUTH',
            `the server at ${where(c)} does not let ${c.user} in: ${error.message}`,
            'The role may not exist, may not log in, or pg_hba.conf has no line for it from this machine.',
          );
    case '3D000':
      return fail(
        'CONNECT',
        `there is no database ${JSON.stringify(c.database)} on the server at ${where(c)}`,
        'Check the name after the last slash of the URL; `psql -l` lists the databases.',
      );
    case '42501':
      return fail(
        'PRIVILEGE',
        `${c.user} may not connect to the database ${c.database}`,
        `grant connect on database "${c.database.replaceAll('"', '""')}" to ${user};`,
      );
    case '53300':
      return fail(
        'CONNECT',
        `the server at ${where(c)} has no connection left: ${error.message}`,
        'Close other sessions, lower `pool: { max: … }`, or raise max_connections.',
      );
    case '57P03':
      return fail(
        'CONNECT',
        `the server at ${where(c)} is not ready: ${error.message}`,
        'It is starting up, shutting down or recovering; try again in a moment.',
      );
  }
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
      return fail(
        'CONNECT',
        `the host ${JSON.stringify(c.host)} is unknown`,
        'Check the spelling, and that this machine can resolve the name.',
      );
    case 'ECONNREFUSED':
      return fail(
        'CONNECT',
        `nothing listens at ${where(c)} (connection refused)`,
        'Is PostgreSQL running there, with this port, and does listen_addresses include this address?',
      );
    case 'ENOENT':
    case 'EACCES':
      return fail(
        'CONNECT',
        `there is no usable PostgreSQL socket in ${c.host} for port ${c.port}`,
        'Check unix_socket_directories and port of the server.',
      );
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return fail(
        'CONNECT',
        `${where(c)} cannot be reached (${error.code})`,
        'A firewall or a wrong address; check from this machine.',
      );
  }
  if (/timeout expired/.test(error.message)) {
    return fail(
      'CONNECT',
      `${where(c)} did not answer within ${c.connectTimeoutMs / 1000} s`,
      'A firewall that drops packets, a wrong address, or a server under load. connect_timeout raises the limit.',
    );
  }
  const tlsFailure = await explainTls(error, c, tls, name);
  if (tlsFailure) return tlsFailure;
  if (/password must be a string|SASL.*password/i.test(error.message)) {
    return fail(
      'AUTH',
      `the server at ${where(c)} asks for a password of ${c.user}, and none was given${passfile === undefined ? '' : `; ${passfile}`}`,
      'Add it to the URL, to `password` of the endpoint, or to ~/.pgpass.',
    );
  }
  return fail(
    'CONNECT',
    `cannot connect to ${where(c)}: ${error.message}`,
    'Look at the server log; it names the reason on its side.',
  );
};

/** Opens one session. Throws CONNECT, AUTH, TLS or PRIVILEGE with what to do; never with the password. */
export const openClient = async (
  c: PostgresConfig,
  tls: ConnectionOptions | undefined,
  name: string,
  signal: AbortSignal,
): Promise<pg.Client> => {
  const given = c.password ?? (process.env['PGPASSWORD'] || undefined);
  const found = given === undefined ? await passwordFromFile(c) : undefined;
  const client = new pg.Client({
    host: c.host,
    port: c.port,
    user: c.user,
    // a function keeps the driver from looking for passwords elsewhere
    password: () => given ?? (found !== undefined && 'password' in found ? found.password : ''),
    database: c.database,
    ssl: tls === undefined ? false : (tls as pg.ClientConfig['ssl'] & object),
    application_name: c.applicationName,
    connectionTimeoutMillis: c.connectTimeoutMs,
    keepAlive: true,
    types: rawText,
  });
  // a session that dies while nobody asks anything of it must not end the process: the next statement will tell
  client.on('error', () => {});
  const stop = (): void => {
    (client as unknown as { connection: { stream: { destroy(e?: Error): void } } }).connection.stream.destroy(
      new Error('stopped'),
    );
  };
  if (signal.aborted) throw new LockstepError('ABORTED', `${name}: connecting was stopped`, { side: name });
  signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    return client;
  } catch (error) {
    if (signal.aborted)
      throw new LockstepError('ABORTED', `${name}: connecting was stopped`, { side: name, cause: error });
    const refused = found !== undefined && 'refused' in found ? found.refused : undefined;
    throw await explainConnect(error as ServerFailure, c, tls, name, refused);
  } finally {
    signal.removeEventListener('abort', stop);
  }
};
