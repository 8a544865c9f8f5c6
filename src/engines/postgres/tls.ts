import { connect as connectTcp, isIP, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect as connectTls,
  type DetailedPeerCertificate,
  type PeerCertificate,
} from 'node:tls';
import { LockstepError } from '../../model/errors.ts';
import { tlsMaterial } from '../sql/tls.ts';
import type { PostgresConfig } from './config.ts';

/** What Node's TLS gets; undefined: no TLS. Throws TLS when a file cannot be read. */
export const tlsOptions = ({ tls, host }: PostgresConfig, baseDir: string): ConnectionOptions | undefined => {
  if (tls.mode === 'disable') return undefined;
  const name = tls.serverName ?? host;
  return {
    ...tlsMaterial(tls, baseDir),
    ...(isIP(name) === 0 ? { servername: name } : {}),
    checkServerIdentity: (_host: string, cert: PeerCertificate) =>
      tls.mode === 'verify-full' ? checkServerIdentity(name, cert) : undefined,
  };
};

/** Opens a raw connection past the TLS negotiation, as the server offers it. */
export const openSocket = (c: PostgresConfig, tls: ConnectionOptions | undefined): Promise<Socket> =>
  new Promise((resolvePromise, reject) => {
    const socket = c.host.startsWith('/')
      ? connectTcp({ path: `${c.host}/.s.PGSQL.${c.port}` })
      : connectTcp({ host: c.host, port: c.port });
    socket.setTimeout(c.connectTimeoutMs, () => socket.destroy(new Error('timed out')));
    socket.once('error', reject);
    socket.once('connect', () => {
      if (!tls) {
        resolvePromise(socket);
        return;
      }
      socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]));
      socket.once('data', (answer) => {
        if (answer[0] !== 0x53) {
          socket.destroy();
          reject(new Error('the server does not offer TLS'));
          return;
        }
        const secure = connectTls({ ...tls, socket, host: c.host });
        secure.once('error', reject);
        secure.once('secureConnect', () => {
          // What lies below does not see what goes on above.
          socket.setTimeout(0);
          resolvePromise(secure);
        });
      });
    });
  });

/** The server's certificate as it shows it, without trusting it and without logging in; undefined when it shows none. */
const peek = async (c: PostgresConfig, tls: ConnectionOptions): Promise<DetailedPeerCertificate | undefined> => {
  try {
    const socket = await openSocket(c, { ...tls, rejectUnauthorized: false, checkServerIdentity: () => undefined });
    const cert = (socket as unknown as { getPeerCertificate(d: true): DetailedPeerCertificate }).getPeerCertificate(
      true,
    );
    socket.destroy();
    return Object.keys(cert).length === 0 ? undefined : cert;
  } catch {
    return undefined;
  }
};

const nameOf = (n: PeerCertificate['subject'] | undefined): string => {
  const cn = n?.CN;
  return (Array.isArray(cn) ? cn.join(', ') : cn) ?? n?.O?.toString() ?? '(no name)';
};

const explainAltNames = (cert: PeerCertificate): string =>
  (cert.subjectaltname ?? '').replaceAll(/(DNS|IP Address):/g, '') || nameOf(cert.subject);

/**
 * Says which TLS check failed, about whose certificate, and the line that settles it. Undefined: not a TLS failure.
 */
export const explainTls = async (
  error: Error & { code?: string },
  c: PostgresConfig,
  tls: ConnectionOptions | undefined,
  name: string,
): Promise<LockstepError | undefined> => {
  const code = error.code ?? '';
  const where = `${c.host}:${c.port}`;
  const fail = (message: string, hint: string): LockstepError =>
    new LockstepError('TLS', message, { hint, side: name, cause: error });
  if (/does not support SSL/.test(error.message)) {
    return fail(
      `${name}: the server at ${where} does not offer TLS, and this connection requires it (${c.tls.mode})`,
      'Switch TLS on at the server: ssl = on, ssl_cert_file and ssl_key_file in postgresql.conf.',
    );
  }
  if (!tls) return undefined;
  const cert = await (/CERT|ISSUER|SIGN|TLS|SSL/.test(code) ? peek(c, tls) : undefined);
  const subject = cert ? nameOf(cert.subject) : '(unknown)';
  const issuer = cert ? nameOf(cert.issuer) : '(unknown)';
  const trust =
    'Get the CA certificate from whoever runs the server and add the line `tls: { ca: "${file:/path/ca.pem}" }` to the endpoint, or `sslrootcert=/path/ca.pem` to the URL.';
  switch (code) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return fail(`${name}: the certificate of ${where} (subject ${subject}) is self-signed and is not trusted`, trust);
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return c.tls.ca === undefined && c.tls.caFile === undefined
        ? fail(
            `${name}: the certificate of ${where} (subject ${subject}) was issued by ${issuer}, which this machine does not trust`,
            trust,
          )
        : fail(
            `${name}: the certificate of ${where} (subject ${subject}) was issued by ${issuer}, which is not the CA you gave`,
            `Give the certificate of ${issuer} in \`tls: { ca: "\${file:/path/ca.pem}" }\` or \`sslrootcert=/path/ca.pem\`.`,
          );
    case 'CERT_SIGNATURE_FAILURE':
      return fail(
        `${name}: the certificate of ${where} (subject ${subject}) says it was issued by ${issuer}, but not with the key of the CA you gave`,
        `Give the CA certificate that ${issuer} uses now in \`tls: { ca: "\${file:/path/ca.pem}" }\` or \`sslrootcert=/path/ca.pem\`.`,
      );
    case 'CERT_HAS_EXPIRED':
      return fail(
        `${name}: the certificate of ${where} (subject ${subject}) expired on ${cert?.valid_to ?? 'an unknown date'}`,
        'Renew the certificate at the server (ssl_cert_file), then reload it: select pg_reload_conf().',
      );
    case 'CERT_NOT_YET_VALID':
      return fail(
        `${name}: the certificate of ${where} (subject ${subject}) is valid only from ${cert?.valid_from ?? 'an unknown date'}`,
        'Compare the clocks of this machine and the server; a certificate from the future is otherwise replaced at the server.',
      );
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return fail(
        `${name}: the certificate of ${where} is for ${cert ? explainAltNames(cert) : subject}, not for ${c.tls.serverName ?? c.host}`,
        `Connect by a name that the certificate carries, or, when this is the right server, add \`server_name: ${cert ? (explainAltNames(cert).split(',')[0] ?? subject).trim() : 'NAME'}\` to \`tls\` of the endpoint.`,
      );
  }
  if (/^(ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO)/.test(code)) {
    return fail(
      `${name}: TLS with ${where} failed: ${error.message}`,
      'Look at the server log; it names the reason on its side.',
    );
  }
  return undefined;
};
