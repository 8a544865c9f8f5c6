import type { Clock } from '../../lib/clock.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Auth } from './config.ts';
import { isNumber, isObject, type Json, parseJson } from './json.ts';
import type { Transport } from './transport.ts';

/** Says who asks. */
export interface Credentials {
  headers(signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** The API did not accept them: is there another try? Only tokens that we fetched ourselves can be fetched again. */
  refused(): boolean;
}

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;

/** A token is fetched anew so long before it ends. */
const marginMs = 30_000;

type OAuth = Extract<Auth, { kind: 'oauth2' }>;

/** Client credentials (RFC 6749, section 4.4). One token for all requests, kept in memory only. */
const oauth = (o: {
  readonly side: string;
  readonly auth: OAuth;
  readonly transport: Transport;
  readonly clock: Clock;
}): Credentials => {
  const { auth, side, clock } = o;
  let held: { readonly token: Promise<string>; untilMs: number } | undefined;

  const failed = (why: string): LockstepError =>
    new LockstepError('AUTH', `${side}: no token from ${auth.tokenUrl.host}: ${why}`, {
      side,
      hint: 'Check http.auth.oauth2: token_url, client_id, client_secret, scope.',
    });

  const fetchToken = async (signal: AbortSignal, hold: { untilMs: number }): Promise<string> => {
    const form = new URLSearchParams({ grant_type: 'client_credentials' });
    if (auth.scope !== undefined) form.set('scope', auth.scope);
    if (auth.audience !== undefined) form.set('audience', auth.audience);
    if (auth.inBody) {
      form.set('client_id', auth.clientId);
      form.set('client_secret', auth.clientSecret);
    }
    const reply = await o.transport.exchange({
      method: 'POST',
      url: auth.tokenUrl,
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        ...(auth.inBody
          ? {}
          : { authorization: basic(encodeURIComponent(auth.clientId), encodeURIComponent(auth.clientSecret)) }),
      },
      body: form.toString(),
      signal,
    });
    let body: Json;
    try {
      body = parseJson(reply.body.toString('utf8'));
    } catch {
      throw failed(`status ${reply.status}, and no JSON`);
    }
    const token = isObject(body) ? body['access_token'] : undefined;
    if (reply.status !== 200 || typeof token !== 'string' || /[\r\n\0]/.test(token)) {
      const error = isObject(body) ? body['error'] : undefined;
      throw failed(`status ${reply.status}${typeof error === 'string' ? ` (${error.slice(0, 60)})` : ''}`);
    }
    const seconds = isObject(body) ? body['expires_in'] : undefined;
    const life = isNumber(seconds) ? Number(seconds.rawJSON) : typeof seconds === 'string' ? Number(seconds) : 3600;
    hold.untilMs = clock.elapsed() + Math.max(0, (Number.isFinite(life) ? life : 3600) * 1000 - marginMs);
    return token;
  };

  return {
    headers: async (signal) => {
      if (held === undefined || clock.elapsed() >= held.untilMs) {
        const hold = { untilMs: Number.POSITIVE_INFINITY };
        const token = fetchToken(signal, hold);
        const mine = Object.assign(hold, { token });
        held = mine;
        token.catch(() => {
          if (held === mine) held = undefined;
        });
      }
      return { authorization: `Bearer ${await held.token}` };
    },
    refused: () => {
      held = undefined;
      return true;
    },
  };
};

/** The headers of the declared way to sign in. */
export const credentials = (o: {
  readonly side: string;
  readonly auth: Auth | undefined;
  readonly transport: Transport;
  readonly clock: Clock;
}): Credentials => {
  const { auth } = o;
  if (auth?.kind === 'oauth2') return oauth({ ...o, auth });
  const fixed: Readonly<Record<string, string>> =
    auth === undefined
      ? {}
      : auth.kind === 'bearer'
        ? { authorization: `Bearer ${auth.token}` }
        : auth.kind === 'basic'
          ? { authorization: basic(auth.user, auth.password) }
          : { [auth.name.toLowerCase()]: auth.value };
  return { headers: async () => fixed, refused: () => false };
};
