import { type ErrorCode, LockstepError } from '../../model/errors.ts';

const advice: Partial<Record<ErrorCode, string>> = {
  CONNECT: 'Check the address of the control store (--control, LOCKSTEP_CONTROL_URL) and that the server runs.',
  AUTH: 'Check user and password of the control store URL.',
  TLS: 'Check sslmode and certificates of the control store URL.',
  PRIVILEGE: 'Grant the user CREATE on the database, or ownership of the schema lockstep_control.',
  CONNECTION_LOST: 'The server ended or the network broke. Start the command again: it goes on where it was.',
};

const codeOf = (state: string, message: string): ErrorCode => {
  if (state === '28P01' || state === '28000') return 'AUTH';
  if (state === '42501') return 'PRIVILEGE';
  if (state === '40001' || state === '40P01' || state === '55P03') return 'CONTENTION';
  if (state === '57P01' || state === '57P02' || state.startsWith('08')) return 'CONNECTION_LOST';
  if (state === '57014') return 'STATEMENT_TIMEOUT';
  if (
    [
      'ECONNREFUSED',
      'ENOTFOUND',
      'EAI_AGAIN',
      'ETIMEDOUT',
      'EHOSTUNREACH',
      'ENETUNREACH',
      'ENOENT',
      '57P03',
      '53300',
    ].includes(state)
  )
    return 'CONNECT';
  if (['ECONNRESET', 'EPIPE'].includes(state)) return 'CONNECTION_LOST';
  if (['3D000', '25006', '53100', 'ENOSPC', '0A000'].includes(state)) return 'STORE';
  if (state.startsWith('ERR_TLS') || /certificate|SSL|TLS/.test(message)) return 'TLS';
  if (/timeout expired|timed out/i.test(message)) return 'CONNECT';
  if (/Connection terminated|Client has encountered a connection error|not queryable|Client was closed/i.test(message))
    return 'CONNECTION_LOST';
  return 'DATABASE';
};

/** What went wrong with the control store, in the user's words. `where`: its description. */
export const storeError = (cause: unknown, where: string): LockstepError => {
  if (cause instanceof LockstepError) return cause;
  const first = cause instanceof AggregateError && cause.errors.length > 0 ? (cause.errors[0] as unknown) : cause;
  const message = first instanceof Error ? first.message : String(first);
  const state = String((first as { code?: unknown } | undefined)?.code ?? '');
  const code = codeOf(state, message);
  const hint =
    state === '3D000'
      ? 'Create the database first: the control store makes its schema, not the database.'
      : state === '53100' || state === 'ENOSPC'
        ? 'The disk of the control store is full. Make room, then start the command again.'
        : state === '25006'
          ? 'The control store must be writable: this server is a standby or read-only.'
          : advice[code];
  return new LockstepError(code, `control store (${where}): ${message}`, { ...(hint ? { hint } : {}), cause });
};
