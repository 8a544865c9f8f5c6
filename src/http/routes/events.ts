import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { mayAccess } from '../../access/may-access.ts';
import type { Event } from '../../model/service.ts';
import type { Api, Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { tooMany } from '../refusal.ts';
import { typed } from '../typed.ts';

const heartbeatMs = 15_000;
/** Then the client asks again, and is asked again who it is: a token may have been revoked. */
const lifeMs = 600_000;
const atOnce = 100;
/** How long a client may take to read the end. */
const partingMs = 500;
/** Streams of one caller at once, in this process: each holds a connection and asks the store. */
const mostStreams = 20;
/** A caller with too many may ask again so much later. */
const fullMs = 5000;

/** CloudEvents 1.0, JSON format. */
const cloudEvent = (event: Event): string =>
  JSON.stringify({
    specversion: '1.0',
    id: event.id,
    source: '/api/v1',
    type: `lockstep.${event.type}`,
    subject: event.subject,
    time: new Date(event.at).toISOString(),
    datacontenttype: 'application/json',
    ...(event.sync === null ? {} : { sync: event.sync }),
    ...(event.correlation === null ? {} : { correlation: event.correlation }),
    data: event.data,
  });

const frame = (event: Event): string => `id: ${event.id}\nevent: ${event.type}\ndata: ${cloudEvent(event)}\n\n`;

/**
 * What a caller may hear of. An event names the key of a record: only who reads records hears of it, and where a row
 * filter hides some from some, nobody does, for the event does not say what the filter would look at.
 */
const mayHear = (api: Api, { principal }: FastifyRequest, event: Event): boolean => {
  if (!event.type.startsWith('record.')) return mayAccess(principal, { sync: event.sync });
  const name = /^records\/([^/]+)\//.exec(event.subject)?.[1] ?? '';
  const { records } = api.config();
  const entity = Object.hasOwn(records, name) ? records[name] : undefined;
  if (entity === undefined || entity.rowFilter.length > 0 || !principal.scopes.has('records:read')) return false;
  return mayAccess(principal, { record: name });
};

const decimal = /^\d{1,19}$/;

/**
 * Events from a position on, for ever. Each is read from the store when the client has room for it, so a slow client
 * costs no memory and loses nothing; it ends with the server.
 */
async function* frames(
  api: Api,
  request: FastifyRequest,
  o: { readonly from: string | undefined; readonly types?: readonly string[]; readonly sync?: string },
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { events, clock } = api;
  const end = clock.elapsed() + lifeMs;
  yield ': connected\nretry: 2000\n\n';
  let latest = await events.latest({ signal });
  let position = o.from ?? latest;
  // A position that this store has not reached: it is another store, or was restored.
  if (BigInt(position) > BigInt(latest)) {
    yield `event: reset\ndata: ${JSON.stringify({ latest })}\n\n`;
    position = latest;
  }
  const filter = { ...(o.types ? { types: o.types } : {}), ...(o.sync === undefined ? {} : { sync: o.sync }) };
  const arrivals = events.arrivals({ signal })[Symbol.asyncIterator]();
  let arrival = arrivals.next();
  arrival.catch(() => {});
  while (clock.elapsed() < end) {
    latest = await events.latest({ signal });
    for (;;) {
      const found = await events.after(position, { ...filter, limit: atOnce }, { signal });
      for (const event of found) if (mayHear(api, request, event)) yield frame(event);
      position = found.at(-1)?.id ?? position;
      if (found.length < atOnce) break;
    }
    if (BigInt(latest) > BigInt(position)) position = latest;
    const beat = new AbortController();
    const woken = await Promise.race([
      arrival.then(() => true),
      clock.sleep(heartbeatMs, AbortSignal.any([signal, beat.signal])).then(() => false),
    ]).finally(() => beat.abort());
    if (!woken) yield ': heartbeat\n\n';
    else {
      arrival = arrivals.next();
      arrival.catch(() => {});
    }
  }
}

/** Ends where the signal is aborted instead of failing, and lets go of everything when it ends. */
async function* untilEnd(
  source: (signal: AbortSignal) => AsyncGenerator<string>,
  ending: AbortSignal,
): AsyncGenerator<string> {
  const over = new AbortController();
  const signal = AbortSignal.any([ending, over.signal]);
  try {
    yield* source(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    over.abort();
  }
}

export const events: Routes = (app, api) => {
  const open = new Map<string, number>();
  /** Counts one more stream of a caller until its connection is closed. RATE_LIMITED. */
  const count = ({ principal: { name } }: FastifyRequest, { raw }: FastifyReply): void => {
    const now = open.get(name) ?? 0;
    if (now >= mostStreams) throw tooMany(`${name} has its ${mostStreams} streams of events open`, fullMs);
    open.set(name, now + 1);
    raw.once('close', () => {
      const left = open.get(name)! - 1;
      if (left === 0) open.delete(name);
      else open.set(name, left);
    });
  };
  typed(app).get(
    '/api/v1/events',
    {
      exposeHeadRoute: false,
      config: { scope: 'events:read', objects: 'checked', produces: ['text/event-stream'] },
      schema: {
        operationId: 'streamEvents',
        summary: 'What happens, as it happens (server-sent events)',
        description:
          'Each message is a CloudEvent 1.0 in JSON: runs, syncs, records, breakers, alerts. Of records hears who holds `records:read`; there are none of entities with a `row_filter`. It goes on after `Last-Event-ID` where that is sent, else with what happens from now on; events are kept for seven days. After ten minutes the stream ends, and clients ask again. A caller may have 20 streams open in each server; 429 for more. A comment comes every 15 seconds. `event: reset`: the position is none of this store.',
        tags: ['events'],
        headers: z.looseObject({
          'last-event-id': z
            .string()
            .regex(decimal, { error: 'expected the id of an event' })
            .optional()
            .meta({ examples: ['1042'] }),
        }),
        querystring: z.strictObject({
          after: z
            .string()
            .regex(decimal)
            .optional()
            .describe('As Last-Event-ID, where a header cannot be set; 0: from the beginning'),
          types: z
            .string()
            .max(1000)
            .regex(/^[a-z_.]+(,[a-z_.]+)*$/)
            .optional()
            .describe('Only these: run.started,run.finished'),
          sync: z.string().min(1).max(200).optional().describe('Only of this sync'),
        }),
        response: { 200: { content: { 'text/event-stream': { schema: z.string() } } } },
      },
    },
    async (request, reply) => {
      const { after, types, sync } = request.query;
      count(request, reply);
      const { signal: gone } = cancelOf(request, reply, { ms: Number.POSITIVE_INFINITY });
      const { closing } = request.server;
      const signal = AbortSignal.any([gone, closing]);
      // A client that does not read does not hold up the end of the server.
      const part = (): void => void setTimeout(() => reply.raw.destroy(), partingMs).unref();
      closing.addEventListener('abort', part);
      reply.raw.once('close', () => closing.removeEventListener('abort', part));
      const from = request.headers['last-event-id'] ?? after;
      const wanted = { from, ...(types ? { types: types.split(',') } : {}), ...(sync === undefined ? {} : { sync }) };
      reply.header('content-type', 'text/event-stream; charset=utf-8').header('cache-control', 'no-store');
      reply.header('x-accel-buffering', 'no').header('connection', 'close');
      const stream = untilEnd((until) => frames(api, request, wanted, until), signal);
      return reply.send(Readable.from(stream, { highWaterMark: 16 }) as never);
    },
  );
};
