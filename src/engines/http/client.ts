import type { Clock } from '../../lib/clock.ts';
import { LockstepError } from '../../model/errors.ts';
import { type Credentials, credentials } from './auth.ts';
import type { HttpConfig } from './config.ts';
import type { Json } from './json.ts';
import { type Pace, pace, retryAfterMs, windowMs } from './pace.ts';
import { bodyOf, NotJson, refusedReply, wordsOf } from './replies.ts';
import { NoReply, openTransport, type Reply, type Transport } from './transport.ts';

/** A JSON answer, and where it came from at last. */
export interface Answer {
  readonly body: Json;
  readonly headers: Reply['headers'];
  readonly url: URL;
  readonly bytes: number;
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** An item that is not there (404, 410), or a page behind the last (some APIs also answer 400, 416 or 422). */
  readonly mayMiss?: 'item' | 'page';
  /** For looking at an API's shape only: an answer that the server calls unchanged (ETag) is used again. */
  readonly cached?: true;
}

export interface Write {
  readonly method: string;
  readonly target: string;
  readonly body?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Speaks to one API: signs in, keeps to its limits, repeats what may be repeated, stays on its host. */
export interface ApiClient extends Disposable {
  readonly side: string;
  /** A GET, past every cache. Undefined only with `mayMiss`. */
  read(target: string | URL, o: ReadOptions): Promise<Answer | undefined>;
  /**
   * A write, sent once (again only when it was surely not looked at). Any answer up to 500 is given back; whatever else
   * leaves open if it was done is CONNECTION_LOST.
   */
  write(w: Write): Promise<Reply>;
  /** The API's clock at its last answer (the Date header), milliseconds since 1970. */
  readonly clockMs: number | undefined;
  /** The address of a path under the base, or of a link in an answer; throws when it leads to another host. */
  locate(target: string, from?: URL): URL;
}

const redirectsMost = 5;
/** An API that asks to wait longer is not waited for. */
const waitMostMs = 5 * 60_000;
const cachedMost = 50;

const missing = { item: [404, 410], page: [400, 404, 410, 416, 422] } as const satisfies Record<
  string,
  readonly number[]
>;

/** What says who we are, in every way that an answer could repeat it. */
const secretsOf = (headers: Readonly<Record<string, string>>): readonly string[] =>
  Object.values(headers)
    .flatMap((value) => [value, ...value.split(' ').slice(1)])
    .filter((secret) => secret.length > 5);

/** What an API says of a refused request is shown and kept: not with our login in it. */
const withoutSecrets = (reply: Reply, secrets: readonly string[]): Reply => {
  if (reply.status < 300 || !secrets.some((secret) => reply.body.includes(secret))) return reply;
  const text = secrets.reduce((t, secret) => t.replaceAll(secret, '***'), reply.body.toString('utf8'));
  return { ...reply, body: Buffer.from(text, 'utf8') };
};

const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status);

interface ClientOptions {
  readonly side: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly timeoutMs: number;
  /** The run or request that it asks for. */
  readonly correlation?: string;
  readonly traceparent?: string;
}

class HttpClient implements ApiClient {
  readonly side: string;
  readonly #config: HttpConfig;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #transport: Transport;
  readonly #credentials: Credentials;
  readonly #pace: Pace;
  clockMs: number | undefined;
  readonly #cache = new Map<string, { readonly etag: string; readonly answer: Answer }>();

  constructor(config: HttpConfig, o: ClientOptions) {
    this.side = o.side;
    this.#config = config;
    this.#clock = o.clock;
    this.#random = o.random;
    this.#transport = openTransport({
      side: o.side,
      allowPrivate: config.allowPrivate,
      timeoutMs: o.timeoutMs,
      maxBytes: config.maxBytes,
      ...(config.tls === undefined ? {} : { tls: config.tls }),
      ...(o.correlation === undefined ? {} : { correlation: o.correlation }),
      ...(o.traceparent === undefined ? {} : { traceparent: o.traceparent }),
    });
    this.#credentials = credentials({ side: o.side, auth: config.auth, transport: this.#transport, clock: o.clock });
    this.#pace = pace({ concurrency: config.concurrency, perSecond: config.perSecond, clock: o.clock });
  }

  locate(target: string, from?: URL): URL {
    const { base } = this.#config;
    const prefix = base.pathname === '/' ? '' : base.pathname;
    const url = from === undefined ? new URL(`${base.origin}${prefix}${target}`) : new URL(target, from);
    if (url.origin !== base.origin || url.username !== '' || url.password !== '')
      throw new LockstepError(
        'DATABASE',
        `${this.side}: the API leads to another address, ${url.origin}. Nothing was sent there.`,
        {
          side: this.side,
          hint: `Everything is read from ${base.origin}, and the login goes nowhere else. If the API has moved, change its url.`,
        },
      );
    url.hash = '';
    return url;
  }

  #headers(): Record<string, string> {
    return {
      'user-agent': 'lockstep',
      accept: 'application/json',
      'accept-encoding': 'gzip, deflate, br',
      'cache-control': 'no-cache',
      ...this.#config.headers,
    };
  }

  /** One exchange in its turn. The API's wishes for a pause are heard, whatever it answers. */
  async #exchange(
    method: string,
    url: URL,
    extra: Readonly<Record<string, string>>,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<Reply> {
    for (let tokens = 0; ; tokens++) {
      using _place = await this.#pace.enter(signal);
      const login = await this.#credentials.headers(signal);
      const headers = { ...this.#headers(), ...login, ...extra };
      const answered = await this.#transport.exchange({
        method,
        url,
        headers,
        signal,
        ...(body === undefined ? {} : { body }),
      });
      const reply = withoutSecrets(answered, secretsOf({ ...this.#config.headers, ...login }));
      const now = this.#clock.now();
      const date = Date.parse(reply.headers.date ?? '');
      if (!Number.isNaN(date)) this.clockMs = date;
      const window = windowMs(reply.headers, now);
      if (window !== undefined) this.#pace.pause(Math.min(window, waitMostMs));
      if (reply.status === 429 || reply.status === 503) this.#obey(reply, url, now);
      if (reply.status !== 401 || tokens > 0 || !this.#credentials.refused()) return reply;
    }
  }

  #obey(reply: Reply, url: URL, nowMs: number): void {
    const ms = retryAfterMs(reply.headers, nowMs);
    if (ms === undefined) return;
    if (ms > waitMostMs)
      throw new LockstepError(
        'DATABASE',
        `${this.side}: ${url.pathname} answered ${wordsOf(reply)}, and asks to wait ${Math.ceil(ms / 1000)} s`,
        {
          side: this.side,
          hint: 'Try again then; `http.requests_per_second` keeps below the limit from the start.',
        },
      );
    this.#pace.pause(ms);
  }

  async #pauseBefore(attempt: number, signal: AbortSignal): Promise<void> {
    const { baseMs, maxMs } = this.#config.retry;
    await this.#clock.sleep(this.#random() * Math.min(maxMs, baseMs * 2 ** attempt), signal);
  }

  #failure(method: string, url: URL, error: unknown): unknown {
    const what = `${method} ${url.pathname}`;
    if (error instanceof NotJson)
      return new LockstepError('DATABASE', `${this.side}: ${what} answered ${error.message}`, {
        side: this.side,
        cause: error,
      });
    if (!(error instanceof NoReply)) return error;
    const code =
      error.kind === 'tls' ? 'TLS' : error.kind === 'size' || error.kind === 'content' ? 'DATABASE' : 'CONNECT';
    return new LockstepError(code, `${this.side}: ${error.message}`, { side: this.side, cause: error });
  }

  async #follow(
    url: URL,
    o: ReadOptions,
    extra: Readonly<Record<string, string>>,
  ): Promise<{ reply: Reply; url: URL }> {
    let at = url;
    for (let hops = 0; ; hops++) {
      const reply = await this.#exchange('GET', at, extra, undefined, o.signal);
      const { location } = reply.headers;
      if (!isRedirect(reply.status) || location === undefined) return { reply, url: at };
      if (hops === redirectsMost)
        throw new LockstepError(
          'DATABASE',
          `${this.side}: ${url.pathname} leads from one address to the next without end`,
          { side: this.side },
        );
      at = this.locate(location, at);
    }
  }

  async read(target: string | URL, o: ReadOptions): Promise<Answer | undefined> {
    const url = typeof target === 'string' ? this.locate(target) : target;
    const known = o.cached ? this.#cache.get(url.href) : undefined;
    const extra: Record<string, string> = known === undefined ? {} : { 'if-none-match': known.etag };
    for (let attempt = 0; ; attempt++) {
      const last = attempt + 1 >= this.#config.retry.attempts;
      try {
        const { reply, url: at } = await this.#follow(url, o, extra);
        if (reply.status === 304 && known !== undefined) return known.answer;
        if (reply.status === 200) {
          const answer = { body: bodyOf(reply), headers: reply.headers, url: at, bytes: reply.body.length };
          const { etag } = reply.headers;
          if (o.cached && etag !== undefined && this.#cache.size < cachedMost)
            this.#cache.set(url.href, { etag, answer });
          return answer;
        }
        if (o.mayMiss !== undefined && (missing[o.mayMiss] as readonly number[]).includes(reply.status))
          return undefined;
        const passing = reply.status >= 500 || reply.status === 429 || reply.status === 408 || reply.status === 425;
        if (!passing || last) throw refusedReply(this.side, `GET ${at.pathname}`, reply);
      } catch (error) {
        const passing =
          (error instanceof NoReply && (error.kind === 'connect' || error.kind === 'time' || error.kind === 'lost')) ||
          (error instanceof NotJson && error.again);
        if (!passing || last || o.signal.aborted) throw this.#failure('GET', url, error);
      }
      await this.#pauseBefore(attempt, o.signal);
    }
  }

  async write(w: Write): Promise<Reply> {
    const url = this.locate(w.target);
    const headers = { ...w.headers, ...(w.body === undefined ? {} : { 'content-type': 'application/json' }) };
    for (let attempt = 0; ; attempt++) {
      const last = attempt + 1 >= this.#config.retry.attempts;
      try {
        const reply = await this.#exchange(w.method, url, headers, w.body, w.signal);
        if (isRedirect(reply.status))
          throw new LockstepError(
            'DATABASE',
            `${this.side}: ${w.method} ${url.pathname} answered ${wordsOf(reply)}: a write is not sent on`,
            {
              side: this.side,
              hint: 'Declare the address that the API takes writes at.',
            },
          );
        // 429: refused before it was looked at (RFC 6585).
        if (reply.status === 429 && !last) {
          await this.#pauseBefore(attempt, w.signal);
          continue;
        }
        if (reply.status <= 500 && reply.status !== 408) return reply;
        throw this.#unknown(w, url, `answered ${wordsOf(reply)}`);
      } catch (error) {
        if (!(error instanceof NoReply)) throw error;
        if (!error.sent && error.kind === 'connect' && !last) {
          await this.#pauseBefore(attempt, w.signal);
          continue;
        }
        if (error.sent) throw this.#unknown(w, url, error.message, error);
        throw this.#failure(w.method, url, error);
      }
    }
  }

  #unknown(w: Write, url: URL, why: string, cause?: unknown): LockstepError {
    return new LockstepError(
      'CONNECTION_LOST',
      `${this.side}: ${w.method} ${url.pathname}: ${why}; whether it was done shows when the item is read again`,
      { side: this.side, ...(cause === undefined ? {} : { cause }) },
    );
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]();
  }
}

export const openClient = (config: HttpConfig, o: ClientOptions): ApiClient => new HttpClient(config, o);
