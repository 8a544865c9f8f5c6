import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { addressIn, guardedLookup, refusal } from '../../lib/net/addresses.ts';
import { LockstepError } from '../../model/errors.ts';
import { refusedAddress } from './refused-address.ts';

/** One exchange as it was on the wire. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Exchange {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface TransportSettings {
  readonly side: string;
  readonly allowPrivate: boolean;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  /** Of the body, after decompression. */
  readonly maxBytes: number;
  /** Sent as `x-request-id`, unless the request has one. */
  readonly correlation?: string;
  /** Sent as `traceparent`, likewise. */
  readonly traceparent?: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly serverName?: string };
}

/** Why an exchange has no reply. `sent`: the server may have got the request, and done what it asks. */
export class NoReply extends Error {
  readonly sent: boolean;
  readonly kind: 'connect' | 'tls' | 'time' | 'lost' | 'size' | 'content';
  constructor(
    message: string,
    o: { readonly sent: boolean; readonly kind: NoReply['kind']; readonly cause?: unknown },
  ) {
    super(message, o.cause === undefined ? undefined : { cause: o.cause });
    this.sent = o.sent;
    this.kind = o.kind;
  }
}

export interface Transport extends Disposable {
  /** Sends one request and reads the whole reply; follows nothing. Rejects with NoReply, or the signal's reason. */
  exchange(x: Exchange): Promise<Reply>;
}

const unpackers: Readonly<Record<string, () => NodeJS.ReadWriteStream>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

const tlsCodes =
  /^(ERR_TLS|ERR_SSL|EPROTO|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_CA|ERR_OSSL)/;

const explained = (error: unknown, x: Exchange, o: { readonly sent: boolean; readonly timeoutMs: number }): unknown => {
  if (error instanceof LockstepError || error instanceof NoReply) return error;
  const { code, cause } = error as NodeJS.ErrnoException & { cause?: unknown };
  if (cause instanceof LockstepError) return cause;
  const host = x.url.host;
  const words = (error as Error).message;
  if (code !== undefined && tlsCodes.test(code))
    return new NoReply(`no TLS connection to ${host}: ${words}`, { sent: false, kind: 'tls', cause: error });
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'ECONNREFUSED' || code === 'EHOSTUNREACH')
    return new NoReply(`cannot connect to ${host}: ${words}`, { sent: false, kind: 'connect', cause: error });
  return new NoReply(`the connection to ${host} broke: ${words}`, { sent: o.sent, kind: 'lost', cause: error });
};

const readBody = async (reply: IncomingMessage, x: Exchange, maxBytes: number): Promise<Buffer> => {
  const coding = (reply.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const unpacker = coding === 'identity' || coding === '' ? undefined : unpackers[coding];
  if (unpacker === undefined && coding !== 'identity' && coding !== '')
    throw new NoReply(`${x.url.host} answered in an unknown encoding, ${coding}`, { sent: true, kind: 'content' });
  const unpacked = unpacker?.() as (Readable & NodeJS.WritableStream) | undefined;
  const stream: Readable = unpacked ?? reply;
  if (unpacked !== undefined) {
    reply.on('error', (error) => unpacked.destroy(error));
    reply.on('aborted', () => unpacked.destroy(new Error('the reply ended early')));
    reply.pipe(unpacked);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      reply.destroy();
      throw new NoReply(
        `the reply of ${x.url.pathname} is larger than ${Math.round(maxBytes / 2 ** 20)} MB (http.max_bytes)`,
        { sent: true, kind: 'size' },
      );
    }
    chunks.push(chunk);
  }
  if (!reply.complete) throw new NoReply(`the reply of ${x.url.pathname} ended early`, { sent: true, kind: 'lost' });
  return Buffer.concat(chunks);
};

/** Connections to APIs: kept open, to judged addresses only, with limits of time and size. */
export const openTransport = (o: TransportSettings): Transport => {
  const pool = { keepAlive: true, maxSockets: 16, scheduling: 'lifo' as const };
  const plain = new PlainAgent(pool);
  const tls = new TlsAgent({ ...pool, ...(o.tls?.ca ? { ca: o.tls.ca } : {}), minVersion: 'TLSv1.2' });
  const lookup = guardedLookup(o.allowPrivate, (host, address, why) => refusedAddress(o.side, host, address, why));

  const begin = (x: Exchange, signal: AbortSignal): ClientRequest => {
    const address = addressIn(x.url);
    const why = address === undefined ? undefined : refusal(address, o.allowPrivate);
    if (why !== undefined) throw refusedAddress(o.side, address!, address!, why);
    const given = new Set(Object.keys(x.headers).map((name) => name.toLowerCase()));
    const ours = { 'x-request-id': o.correlation, traceparent: o.traceparent };
    const more = Object.entries(ours).filter(([name, value]) => value !== undefined && !given.has(name));
    const headers = { ...x.headers, ...Object.fromEntries(more) };
    const options = { method: x.method, headers, signal, lookup };
    if (x.url.protocol === 'http:') return plainRequest(x.url, { ...options, agent: plain });
    return tlsRequest(x.url, {
      ...options,
      agent: tls,
      ...(o.tls?.cert ? { cert: o.tls.cert } : {}),
      ...(o.tls?.key ? { key: o.tls.key } : {}),
      ...(o.tls?.serverName ? { servername: o.tls.serverName } : {}),
    });
  };

  return {
    exchange: async (x) => {
      x.signal.throwIfAborted();
      const time = AbortSignal.timeout(o.timeoutMs);
      const signal = AbortSignal.any([x.signal, time]);
      let sent = false;
      try {
        const request = begin(x, signal);
        const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
        request.on('error', reject);
        request.on('response', resolve);
        request.on('socket', (socket) => {
          // From the moment there is a connection the request may arrive.
          if (socket.connecting) socket.once('connect', () => (sent = true));
          else sent = true;
        });
        request.end(x.body);
        const reply = await promise;
        return { status: reply.statusCode!, headers: reply.headers, body: await readBody(reply, x, o.maxBytes) };
      } catch (error) {
        x.signal.throwIfAborted();
        if (time.aborted)
          throw new NoReply(
            `${x.url.host} did not answer ${x.method} ${x.url.pathname} within ${o.timeoutMs / 1000} s`,
            {
              sent,
              kind: 'time',
            },
          );
        throw explained(error, x, { sent, timeoutMs: o.timeoutMs });
      }
    },
    [Symbol.dispose]: () => {
      plain.destroy();
      tls.destroy();
    },
  };
};
