import { connect as connectTcp, isIP, type Socket } from 'node:net';
import mysql, { type Connection, type SslOptions } from 'mysql2';
import { LockstepError } from '../../model/errors.ts';
import { addressOf, type MysqlConfig } from './config.ts';
import { errorNumber, type ServerFailure } from './failures.ts';
import { explainTls } from './tls.ts';

const explainConnect = (error: ServerFailure, c: MysqlConfig, name: string): LockstepError => {
  const fail = (code: 'CONNECT' | 'AUTH' | 'PRIVILEGE' | 'TLS', message: string, hint: string): LockstepError =>
    new LockstepError(code, `${name}: ${message}`, { hint, side: name, cause: error });
  const where = addressOf(c);
  switch (errorNumber(error)) {
    case 1045:
    case 1698:
      return fail(
        'AUTH',
        c.password === undefined
          ? `the server at ${where} does not let ${c.user} in without a password, and none was given`
          : `the server at ${where} refused the user ${c.user} or the password`,
        'Check user and password. In a URL, @ : / ? # % of a password are percent-encoded; by parts nothing is escaped.',
      );
    case 1130:
    case 1129:
      return fail(
        'AUTH',
        `the server at ${where} does not let this machine in: ${error.message}`,
        "The account may be for other hosts only (create user … @'%'), or this host is blocked (flush hosts).",
      );
    case 1044:
      return fail(
        'PRIVILEGE',
        `${c.user} may not use the database ${c.database}`,
        `grant select on \`${c.database}\`.* to '${c.user}'@'…';`,
      );
    case 1049:
      return fail(
        'CONNECT',
        `there is no database ${JSON.stringify(c.database)} on the server at ${where}`,
        'Check the name after the last slash of the URL; `show databases` lists them.',
      );
    case 1040:
    case 1203:
    case 1226:
      return fail(
        'CONNECT',
        `the server at ${where} has no connection left: ${error.message}`,
        'Close other sessions, or raise max_connections (max_user_connections).',
      );
    case 3159:
      return fail(
        'TLS',
        `the server at ${where} lets ${c.user} in only with TLS: ${error.message}`,
        'Add sslmode=verify-full to the URL, or `tls: { mode: verify-full }` to the endpoint.',
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
        `nothing listens at ${where} (connection refused)`,
        'Is the server running there, with this port, and does bind_address include this address?',
      );
    case 'ENOENT':
    case 'EACCES':
      return fail('CONNECT', `there is no usable socket at ${where}`, 'Check the setting `socket` of the server.');
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return fail(
        'CONNECT',
        `${where} did not answer within ${c.connectTimeoutMs / 1000} s`,
        'A firewall, a wrong address, or a server under load. connect_timeout raises the limit.',
      );
  }
  return (
    explainTls(error, c, name) ??
    fail(
      'CONNECT',
      `cannot connect to ${where}: ${error.message}`,
      'Look at the server log; it names the reason on its side.',
    )
  );
};

/** The TCP connection; the driver checks a certificate against the name this gives it. */
const openSocket = (c: MysqlConfig): Socket => {
  const socket = c.socket === undefined ? connectTcp(c.port, c.host) : connectTcp(c.socket);
  socket.setNoDelay(true).setKeepAlive(true, 30_000);
  // without a server name (an IP address) Node checks the certificate against this, and else against "localhost"
  const name = c.tls.serverName ?? c.host;
  if (isIP(name) !== 0) (socket as unknown as { _host: string })._host = name;
  return socket;
};

/**
 * Opens one session. Throws CONNECT, AUTH, TLS or PRIVILEGE with what to do; never with the password. `loads`: the
 * session will load rows of ours as files. No file of this machine is ever sent: the driver answers a request for one only
 * where a statement brings a stream for it, and ours bring rows.
 */
export const openClient = async (
  c: MysqlConfig,
  tls: SslOptions | undefined,
  name: string,
  signal: AbortSignal,
  loads = false,
): Promise<Connection> => {
  const stopped = (cause?: unknown): LockstepError =>
    new LockstepError('ABORTED', `${name}: connecting was stopped`, { side: name, cause });
  if (signal.aborted) throw stopped();
  const socket = openSocket(c);
  const client = mysql.createConnection({
    stream: socket,
    // with a stream of our own this is only the name that the certificate must carry
    host: c.tls.serverName ?? c.host,
    user: c.user,
    password: c.password ?? process.env['MYSQL_PWD'] ?? '',
    database: c.database,
    ...(tls === undefined ? {} : { ssl: tls }),
    charset: 'utf8mb4_bin',
    connectTimeout: c.connectTimeoutMs,
    // the modes of a session are pinned by statements
    flags: [loads ? 'LOCAL_FILES' : '-LOCAL_FILES', '-IGNORE_SPACE'],
    // a step's changes travel together; values never do as anything but literals
    multipleStatements: true,
    typeCast: false,
    rowsAsArray: true,
  });
  // a session that dies while nobody asks anything of it must not end the process: the next statement will tell
  client.on('error', () => {});
  const stop = (): void => void socket.destroy(new Error('stopped'));
  signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', reject);
    });
    return client;
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? stopped(error) : explainConnect(error as ServerFailure, c, name);
  } finally {
    signal.removeEventListener('abort', stop);
  }
};
