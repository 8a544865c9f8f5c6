import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { addressIn, guardedLookup, refusal } from './addresses.ts';

/** Nothing was sent: the address is one that nobody outside may make us ask. */
export class RefusedAddress extends Error {
  constructor(host: string, address: string, why: 'metadata' | 'private') {
    const at = host === address ? host : `${host} (${address})`;
    super(
      why === 'private'
        ? `${at} is an address of this machine or a private network`
        : `${at} is a link-local address, where a cloud's metadata service lives`,
    );
    this.name = 'RefusedAddress';
  }
}

export interface GuardedRequest {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** May it go to this machine and private networks? Never to metadata services. */
  readonly allowPrivate: boolean;
  /** For the whole exchange, milliseconds. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

export interface GuardedReply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/**
 * The one way to an address that somebody wrote down: keys of identity providers, webhooks. http and https only; the
 * name is looked up once, every address of it is judged, and one of those is connected to, so that it cannot become
 * another between the two. No redirect is followed: its status is the reply. Rejects with RefusedAddress, the signal's
 * reason, or an Error in words that hold no credentials of the URL.
 */
export const guardedRequest = async (r: GuardedRequest): Promise<GuardedReply> => {
  const { url } = r;
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new Error(`${url.protocol}// is not asked: only http and https are`);
  const refused = (host: string, address: string, why: 'metadata' | 'private') =>
    new RefusedAddress(host, address, why);
  const address = addressIn(url);
  const why = address === undefined ? undefined : refusal(address, r.allowPrivate);
  if (why !== undefined) throw refused(address!, address!, why);
  r.signal.throwIfAborted();
  const time = AbortSignal.timeout(r.timeoutMs);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const options = {
      method: r.method,
      headers: { ...r.headers, 'accept-encoding': 'identity' },
      signal: AbortSignal.any([r.signal, time]),
      lookup: guardedLookup(r.allowPrivate, refused),
      // A connection for this request alone: none that was made for other rules is taken over.
      agent: false as const,
    };
    const request =
      url.protocol === 'http:'
        ? plainRequest(url, options, resolve)
        : tlsRequest(url, { ...options, minVersion: 'TLSv1.2' }, resolve);
    request.on('error', reject);
    request.end(r.body);
    const reply = await promise;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of reply as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > r.maxBytes) {
        reply.destroy();
        throw new Error(`the reply of ${url.host} is larger than ${r.maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
    if (!reply.complete) throw new Error(`the reply of ${url.host} ended early`);
    return { status: reply.statusCode!, headers: reply.headers, body: Buffer.concat(chunks) };
  } catch (error) {
    r.signal.throwIfAborted();
    if (time.aborted) throw new Error(`${url.host} did not answer within ${r.timeoutMs / 1000} s`);
    throw error;
  }
};
