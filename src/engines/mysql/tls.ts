import type { SslOptions } from 'mysql2';
import { LockstepError } from '../../model/errors.ts';
import { tlsMaterial } from '../sql/tls.ts';
import { addressOf, type MysqlConfig } from './config.ts';

/** What the driver's TLS gets; undefined: no TLS. Throws TLS when a file cannot be read. */
export const tlsOptions = ({ tls }: MysqlConfig, baseDir: string): SslOptions | undefined =>
  tls.mode === 'disable' ? undefined : { ...tlsMaterial(tls, baseDir), verifyIdentity: tls.mode === 'verify-full' };

const trust =
  'Get the CA certificate from whoever runs the server and add the line `tls: { ca: "${file:/path/ca.pem}" }` to the endpoint, or `sslrootcert=/path/ca.pem` to the URL.';

/** Says which TLS check failed and the line that settles it. Undefined: not a TLS failure. */
export const explainTls = (
  error: Error & { readonly code?: string },
  c: MysqlConfig,
  name: string,
): LockstepError | undefined => {
  const code = error.code ?? '';
  const where = addressOf(c);
  const fail = (message: string, hint: string): LockstepError =>
    new LockstepError('TLS', `${name}: ${message}`, { hint, side: name, cause: error });
  // the driver writes its own code over that of the check: only the words are left
  const says = error.message;
  const untrusted =
    c.tls.ca === undefined && c.tls.caFile === undefined
      ? `the certificate of ${where} was issued by an authority that this machine does not trust`
      : `the certificate of ${where} was not issued by the CA you gave`;
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT') {
    return fail(
      `the server at ${where} does not offer TLS, and this connection requires it (${c.tls.mode})`,
      'Switch TLS on at the server: ssl_cert and ssl_key in its configuration.',
    );
  }
  if (!/^(HANDSHAKE_SSL|ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO)/.test(code)) return undefined;
  if (/^self-signed certificate(?! in)/.test(says))
    return fail(`the certificate of ${where} is self-signed and is not trusted`, trust);
  if (/issuer certificate|first certificate|in certificate chain|signature failure/.test(says))
    return fail(untrusted, trust);
  if (/has expired/.test(says))
    return fail(`the certificate of ${where} has expired`, 'Renew the certificate at the server (ssl_cert).');
  if (/not yet valid/.test(says)) {
    return fail(
      `the certificate of ${where} is not valid yet`,
      'Compare the clocks of this machine and the server; a certificate from the future is otherwise replaced at the server.',
    );
  }
  if (/does not match certificate/.test(says)) {
    return fail(
      `the certificate of ${where} is not for ${c.tls.serverName ?? c.host}: ${says}`,
      'Connect by a name that the certificate carries, or, when this is the right server, add `server_name: NAME` to `tls` of the endpoint.',
    );
  }
  return fail(`TLS with ${where} failed: ${says}`, 'Look at the server log; it names the reason on its side.');
};
