import { LockstepError } from '../../model/errors.ts';
import type { FirebirdConfig } from './config.ts';
import { type DriverConnection, driverConnection } from './driver.ts';
import { failureOf, gds, ServerFailure } from './failures.ts';

const where = (c: FirebirdConfig): string => `${c.host}:${c.port}`;

const explainConnect = (error: unknown, c: FirebirdConfig, name: string): LockstepError => {
  if (error instanceof LockstepError) return error;
  const e = failureOf(error);
  const words = e.message.replaceAll(/\s*\n\s*/g, ' ');
  const fail = (code: 'CONNECT' | 'AUTH' | 'PRIVILEGE' | 'TLS', message: string, hint: string): LockstepError =>
    new LockstepError(code, `${name}: ${message}`, { hint, side: name, cause: e });
  if (e instanceof ServerFailure) {
    if (e.has(gds.login) || /user name and password are not defined/i.test(words))
      return fail(
        'AUTH',
        `the server at ${where(c)} refused user ${c.user} and its password`,
        'Check user and password. In a URL, @ : / ? # % of a password are percent-encoded; by parts nothing is escaped.',
      );
    if (e.has(gds.io_error))
      return fail(
        'CONNECT',
        `the server at ${where(c)} cannot open the database ${c.database}: ${words}`,
        'The path is one of the server, not of this machine: firebird://host//data/shop.fdb (two slashes: absolute), or an alias of its databases.conf.',
      );
    if (e.has(gds.shutdown))
      return fail('CONNECT', `the database ${c.database} is shut down: ${words}`, 'gfix -online brings it back.');
    if (e.has(gds.no_priv))
      return fail(
        'PRIVILEGE',
        `${c.user} may not connect to ${c.database}: ${words}`,
        'Ask the owner of the database.',
      );
    if (/encrypt|crypt/i.test(words))
      return fail(
        'TLS',
        `the connection to ${where(c)} cannot be encrypted: ${words}`,
        'See WireCrypt in firebird.conf.',
      );
    return fail('CONNECT', `cannot connect to ${where(c)}: ${words}`, 'Look at the server log (firebird.log).');
  }
  switch ((e as { code?: string }).code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
      return fail('CONNECT', `the host ${JSON.stringify(c.host)} is unknown`, 'Check the spelling.');
    case 'ECONNREFUSED':
      return fail(
        'CONNECT',
        `nothing listens at ${where(c)} (connection refused)`,
        'Is Firebird running there, with this port (RemoteServicePort), and for this address (RemoteBindAddress)?',
      );
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return fail(
        'CONNECT',
        `${where(c)} cannot be reached`,
        'A firewall or a wrong address; check from this machine.',
      );
  }
  if (/plugin|login/i.test(words))
    return fail(
      'AUTH',
      `the server at ${where(c)} has no way of logging in that we know: ${words}`,
      'AuthServer in firebird.conf should name Srp256 or Srp.',
    );
  return fail('CONNECT', `cannot connect to ${where(c)}: ${words}`, 'Look at the server log (firebird.log).');
};

/** Opens one attachment. Throws CONNECT, AUTH, TLS or PRIVILEGE with what to do; never with the password. */
export const openConnection = async (
  c: FirebirdConfig,
  name: string,
  signal: AbortSignal,
): Promise<DriverConnection> => {
  if (signal.aborted) throw new LockstepError('ABORTED', `${name}: connecting was stopped`, { side: name });
  const options = {
    user: c.user,
    password: c.password ?? process.env['ISC_PASSWORD'] ?? '',
    database: c.database,
    ...(c.role === undefined ? {} : { role: c.role }),
    encoding: 'UTF8',
    wireCrypt: c.encrypt === 'disabled' ? 0 : 1,
    blobChunkSize: 32_768,
    blobReadChunkSize: 65_535,
    // Otherwise the driver would connect again by itself, into a session that nobody knows.
    isPool: true,
  };
  const { promise, resolve, reject } = Promise.withResolvers<DriverConnection>();
  const Connection = driverConnection();
  const connection: DriverConnection = new Connection(
    c.host,
    c.port,
    (error) => {
      if (error) return reject(error);
      connection.connect(options, (refused) => {
        if (refused) return reject(refused);
        connection.attach(options, (failed) => (failed ? reject(failureOf(failed)) : resolve(connection)));
      });
    },
    options,
  );
  const stop = (): void => reject(new LockstepError('ABORTED', `${name}: connecting was stopped`, { side: name }));
  const late = setTimeout(
    () =>
      reject(
        new LockstepError('CONNECT', `${name}: ${where(c)} did not answer within ${c.connectTimeoutMs / 1000} s`, {
          side: name,
          hint: 'A firewall that drops packets, a wrong address, or a server under load. connect_timeout raises the limit.',
        }),
      ),
    c.connectTimeoutMs,
  );
  signal.addEventListener('abort', stop, { once: true });
  try {
    const opened = await promise;
    if (c.encrypt === 'required' && !opened.accept.sessionKey)
      throw new LockstepError('TLS', `${name}: the connection to ${where(c)} is not encrypted`, {
        side: name,
        hint: 'Set WireCrypt = Required and AuthServer = Srp256, Srp in the server’s firebird.conf, or say encrypt=enabled.',
      });
    return opened;
  } catch (error) {
    connection._socket.destroy();
    throw explainConnect(error, c, name);
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', stop);
  }
};
