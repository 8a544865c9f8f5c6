import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { LockstepError } from '../../model/errors.ts';
import type { TlsConfig } from './address.ts';

const pem = (given: string, baseDir: string, what: string): string => {
  if (given.includes('-----BEGIN')) return given;
  const path = resolve(baseDir, given);
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new LockstepError('TLS', `cannot read the ${what} ${path}`, {
      hint: 'Give a readable PEM file, or its text in tls.ca of the endpoint.',
      cause,
    });
  }
};

/** What Node's TLS is given, apart from the name in the certificate. Throws TLS when a file cannot be read. */
export const tlsMaterial = (tls: TlsConfig, baseDir: string) => {
  const given = tls.ca ?? tls.caFile;
  const ca = given === undefined ? undefined : pem(given, baseDir, 'CA certificate');
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(tls.cert === undefined ? {} : { cert: pem(tls.cert, baseDir, 'client certificate') }),
    ...(tls.key === undefined ? {} : { key: pem(tls.key, baseDir, 'client key') }),
    // as libpq does: `require` asks for encryption only, unless there is a CA to check against
    rejectUnauthorized: tls.mode !== 'require' || ca !== undefined,
    minVersion: 'TLSv1.2' as const,
  };
};
