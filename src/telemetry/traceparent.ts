import { randomBytes } from 'node:crypto';

/** Where a span stands: W3C Trace Context, level 1. */
export interface SpanContext {
  /** 32 and 16 hexadecimal digits, not all zeros. */
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** What a `traceparent` header says; undefined: it is none. Later versions are read as far as they are like this one. */
export const parseTraceparent = (header: unknown): SpanContext | undefined => {
  const [, version, traceId, spanId, flags, more] = (typeof header === 'string' ? form.exec(header) : null) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId!) || /^0+$/.test(spanId!)) return undefined;
  return { traceId: traceId!, spanId: spanId!, sampled: (Number.parseInt(flags!, 16) & 1) === 1 };
};

export const traceparentOf = ({ traceId, spanId, sampled }: SpanContext): string =>
  `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;

/** A new place below `parent`, or at the beginning of a trace. */
export const newContext = (parent: SpanContext | undefined, sampled: boolean): SpanContext => ({
  traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
  spanId: randomBytes(8).toString('hex'),
  sampled: parent?.sampled ?? sampled,
});
