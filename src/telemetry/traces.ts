import type { Clock } from '../lib/clock.ts';
import { guardedRequest } from '../lib/net/guarded-request.ts';
import type { TraceSettings } from '../model/traces.ts';
import type { Log } from './log.ts';
import { newContext, type SpanContext } from './traceparent.ts';

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** Something that takes time. */
export interface Span {
  readonly context: SpanContext;
  /** Once. `failed`: why, in words without secrets. */
  end(o?: { readonly attributes?: Attributes; readonly failed?: string }): void;
}

interface Begin {
  readonly parent?: SpanContext | undefined;
  readonly kind?: 'internal' | 'server' | 'client' | 'consumer';
  readonly attributes?: Attributes;
}

/** Makes spans and sends them in batches by OTLP over HTTP, as JSON. Disposing it sends what is left. */
export interface Tracer extends AsyncDisposable {
  /** Is anything traced now? */
  on(): boolean;
  /** Undefined: nothing is traced. */
  begin(name: string, o?: Begin): Span | undefined;
  /** One that has just ended, after so many milliseconds. */
  ended(name: string, ms: number, o: Begin & { readonly failed?: string }): void;
}

const kinds = { internal: 1, server: 2, client: 3, consumer: 5 } as const;
const flushMs = 2000;
const mostAtOnce = 500;
/** More are dropped while the collector is away. */
const mostHeld = 5000;
const timeoutMs = 10_000;
const longestText = 4000;

type OtlpSpan = Readonly<Record<string, unknown>>;

const attribute = ([key, value]: readonly [string, string | number | boolean], redact: (text: string) => string) => ({
  key,
  value:
    typeof value === 'string'
      ? { stringValue: redact(value).slice(0, longestText) }
      : typeof value === 'boolean'
        ? { boolValue: value }
        : Number.isInteger(value)
          ? { intValue: String(value) }
          : { doubleValue: value },
});

/** Milliseconds since 1970 as nanoseconds, in decimal: more digits than a number has. */
const nanos = (ms: number): string => `${BigInt(Math.round(ms * 1000))}000`;

export const openTracer = (o: {
  /** As it is now; undefined: nothing is traced. May throw, which is logged once. */
  readonly settings: () => TraceSettings | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly redact: (text: string) => string;
  readonly log: Pick<Log, 'warn' | 'info'>;
  /** Said of this process. */
  readonly resource: Attributes;
}): Tracer => {
  const { clock } = o;
  let held: OtlpSpan[] = [];
  let dropped = 0;
  let failing = false;
  let sending: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  const settings = (): TraceSettings | undefined => {
    try {
      return o.settings();
    } catch (error) {
      if (!failing) o.log.warn('traces are not sent', { error });
      failing = true;
      return undefined;
    }
  };
  const attributes = (all: Attributes) => Object.entries(all).map((entry) => attribute(entry, o.redact));

  const send = async (): Promise<void> => {
    const to = settings();
    const spans = held.slice(0, mostAtOnce);
    held = held.slice(mostAtOnce);
    if (to === undefined || spans.length === 0) return;
    const resource = { attributes: attributes({ 'service.name': to.service, ...o.resource }) };
    const body = JSON.stringify({
      resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'lockstep' }, spans }] }],
    });
    try {
      const reply = await guardedRequest({
        url: to.url,
        method: 'POST',
        headers: { ...to.headers, 'content-type': 'application/json' },
        body,
        allowPrivate: to.allowPrivate,
        timeoutMs,
        maxBytes: 1024 * 1024,
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (reply.status >= 300) throw new Error(`the collector answers ${reply.status}`);
      if (failing) o.log.info('traces are sent again', { dropped });
      failing = false;
      dropped = 0;
    } catch (error) {
      dropped += spans.length;
      if (!failing) o.log.warn('traces are not sent', { url: to.url.host, error });
      failing = true;
    }
  };
  const flush = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    sending = sending.then(async () => {
      while (held.length > 0) await send();
    });
    return sending;
  };
  const add = (span: OtlpSpan): void => {
    if (held.length >= mostHeld) dropped++;
    else held.push(span);
    if (held.length >= mostAtOnce && timer !== undefined) void flush();
    timer ??= setTimeout(() => void flush(), flushMs).unref();
  };

  const make = (
    context: SpanContext,
    name: string,
    x: Begin & { readonly from: number; readonly to: number; readonly failed?: string },
  ): void =>
    add({
      traceId: context.traceId,
      spanId: context.spanId,
      ...(x.parent === undefined ? {} : { parentSpanId: x.parent.spanId }),
      name,
      kind: kinds[x.kind ?? 'internal'],
      startTimeUnixNano: nanos(x.from),
      endTimeUnixNano: nanos(x.to),
      attributes: attributes(x.attributes ?? {}),
      status: x.failed === undefined ? {} : { code: 2, message: o.redact(x.failed).slice(0, longestText) },
    });

  const contextOf = (parent: SpanContext | undefined): SpanContext | undefined => {
    const now = settings();
    return now === undefined ? undefined : newContext(parent, o.random() < now.sample);
  };

  return {
    on: () => settings() !== undefined,
    begin: (name, x = {}) => {
      const context = contextOf(x.parent);
      if (context === undefined) return undefined;
      const [from, began] = [clock.now(), clock.elapsed()];
      let over = false;
      return {
        context,
        end: ({ attributes: more, failed } = {}) => {
          if (over || !context.sampled) return;
          over = true;
          const to = from + (clock.elapsed() - began);
          const all = { ...x.attributes, ...more };
          make(context, name, { ...x, attributes: all, from, to, ...(failed === undefined ? {} : { failed }) });
        },
      };
    },
    ended: (name, ms, x) => {
      const context = contextOf(x.parent);
      if (context === undefined || !context.sampled) return;
      const to = clock.now();
      make(context, name, { ...x, from: to - ms, to });
    },
    [Symbol.asyncDispose]: () => flush(),
  };
};
