import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Cancel } from '../../model/cancel.ts';
import type { JsonValue } from '../../model/json.ts';
import { creates, readBatch, writeBatch } from '../../records/batch.ts';
import type { Result } from '../../records/change.ts';
import { readKey } from '../../records/key.ts';
import { madeRecord } from '../../records/made.ts';
import { once, requestHash } from '../../records/once.ts';
import { type Desk, prepare, type Writer, writeRecord } from '../../records/write.ts';
import { answerOf, HttpProblem } from '../errors.ts';
import { ifMatch } from '../etag.ts';
import { idempotencyHeaders, keyOf, mustHaveKey } from '../idempotency.ts';
import { keepsAnswers } from '../open-cache.ts';
import {
  asHttp,
  entityParams,
  lastStep,
  nameOf,
  preferred,
  Record,
  type RecordRoutes,
  recordParams,
} from '../record-routes.ts';

/** A write goes on when its client has gone: it must be known what became of it. */
const cancelOfWrite = (request: FastifyRequest): Cancel => ({
  signal: AbortSignal.any([request.server.ending, AbortSignal.timeout(30_000)]),
});

const deskOf = async (x: RecordRoutes): Promise<Desk> => ({
  audit: x.api.store.audit,
  events: x.api.events,
  seal: await x.seal(),
  ...(x.api.cache !== undefined || keepsAnswers(x.api.config()) ? { generations: x.api.store.generations } : {}),
  now: () => x.api.clock.now(),
  warn: (message, error) => process.emitWarning(`${message}: ${String(error)}`),
});

const writerOf = (request: FastifyRequest): Writer => ({ principal: request.principal, correlation: request.id });

/** What is kept of an answer for whoever repeats the question. */
const saved = (r: Result): JsonValue => ({ key: r.key, json: r.json ?? null, etag: r.etag ?? null });

interface Saved {
  readonly key: string;
  readonly json: string | null;
  readonly etag: string | null;
}

const minimal = (request: FastifyRequest, reply: FastifyReply): boolean => {
  if (preferred(request, 'return') !== 'minimal') return false;
  reply.header('preference-applied', 'return=minimal');
  return true;
};

const json = 'application/json; charset=utf-8';

const sendCreated = (
  request: FastifyRequest,
  reply: FastifyReply,
  entity: string,
  r: Saved,
  repeated: boolean,
): FastifyReply => {
  reply.code(201).header('location', `/api/v1/records/${entity}/${r.key}`).header('cache-control', 'no-store');
  if (r.etag !== null) reply.header('etag', r.etag);
  if (repeated) reply.header('idempotent-replayed', 'true');
  return minimal(request, reply) ? reply.send() : reply.type(json).send(r.json);
};

const create = async (
  x: RecordRoutes,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> => {
  mustHaveKey(request);
  const o = cancelOfWrite(request);
  const desk = await deskOf(x);
  const w = writerOf(request);
  // a body that can never be written needs no place among the requests
  const object = await x.entities.within(
    name,
    o,
    async (entity) => prepare(entity, { op: 'create', body: request.body }, w, desk.seal).object,
  );
  const asked = {
    actor: request.principal.name,
    key: keyOf(request)!,
    hash: requestHash('create', name, JSON.stringify(request.body)),
    record: object.includes('/', 'records/'.length) ? object : null,
  };
  const { answer, repeated } = await once(
    x.api.store.recordRequests,
    asked,
    {
      work: () =>
        x.entities.within(name, o, async (entity) =>
          saved(await writeRecord(entity, { op: 'create', body: request.body }, w, desk, o)),
        ),
      found: async () => {
        const made = await x.entities.within(name, o, (entity) => madeRecord(entity, w, desk, request.body, o));
        return made && saved(made);
      },
    },
    o,
  );
  return sendCreated(request, reply, name, answer as unknown as Saved, repeated);
};

interface BatchAnswer {
  readonly results: readonly JsonValue[];
  readonly ok: number;
  readonly failed: number;
}

const batch = async (
  x: RecordRoutes,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> => {
  const o = cancelOfWrite(request);
  const desk = await deskOf(x);
  const w = writerOf(request);
  const asked = readBatch(request.body);
  const statuses = { create: 201, update: 200, delete: 204 } as const;
  const problem = (error: Error): JsonValue => {
    const { problem: p } = answerOf(asHttp(error), { correlation: request.id, redactor: x.api.redactor });
    return {
      status: p.status,
      problem: { ...p, ...(p.errors ? { errors: p.errors.map((e) => ({ ...e })) } : {}) } as unknown as JsonValue,
    };
  };
  const work = async (): Promise<JsonValue> => {
    const results = await x.entities.within(name, o, (entity) => writeBatch(entity, asked, w, desk, o));
    const shown = results.map(
      (r): JsonValue =>
        r instanceof Error
          ? problem(r)
          : { status: statuses[r.op], key: r.key, ...(r.etag === undefined ? {} : { etag: r.etag, record: r.json! }) },
    );
    const failed = results.filter((r) => r instanceof Error).length;
    return { results: shown, ok: results.length - failed, failed };
  };
  const send = (answer: JsonValue): FastifyReply => {
    const { results, ok, failed } = answer as unknown as BatchAnswer;
    // records are JSON text already, digit by digit
    const texts = results.map((r) => {
      const { record, ...rest } = r as { readonly record?: string };
      const text = JSON.stringify(rest);
      return record === undefined || preferred(request, 'return') === 'minimal'
        ? text
        : `${text.slice(0, -1)},"record":${record}}`;
    });
    minimal(request, reply);
    return reply
      .header('cache-control', 'no-store')
      .type(json)
      .send(`{"results":[${texts.join(',')}],"summary":{"ok":${ok},"failed":${failed}}}`);
  };
  if (!creates(asked) && keyOf(request) === undefined) return send(await work());
  mustHaveKey(request);
  const { answer, repeated } = await once(
    x.api.store.recordRequests,
    {
      actor: request.principal.name,
      key: keyOf(request)!,
      hash: requestHash('batch', name, JSON.stringify(request.body)),
      record: null,
    },
    { work, found: async () => undefined },
    o,
  );
  if (repeated) reply.header('idempotent-replayed', 'true');
  return send(answer);
};

const BatchBody = z.unknown().meta({
  id: 'RecordBatch',
  description: '`{ atomic, items: [{ op, key, if_match, body }] }`, 1 to 500 items',
  examples: [{ atomic: true, items: [{ op: 'update', key: '17', if_match: '"…"', body: { status: 'settled' } }] }],
});

const conditional = z.looseObject({
  'if-match': z.string().optional().describe('The ETag of the record as you have seen it'),
});
const config = { scope: 'records:write', objects: 'checked', problems: [404, 405, 409, 412, 428, 502, 504] } as const;
const hint = 'GET the record; its ETag is the value.';

const mustBeOne = (seen: readonly string[]): void => {
  if (seen.length > 1) throw new HttpProblem('PARAMETER', 'If-Match: one ETag, that of the record as you have seen it');
};

export const addRecordWrites = (app: FastifyInstance, x: RecordRoutes): void => {
  app.post(
    '/api/v1/records/:entity',
    {
      config,
      schema: {
        operationId: 'createRecord',
        summary: 'A new record; with `:batch` after the entity’s name up to 500 changes at once',
        tags: ['records'],
        params: entityParams,
        headers: idempotencyHeaders,
        body: BatchBody,
        response: { 200: z.unknown(), 201: Record },
      },
    },
    (request, reply) => {
      const { entity } = request.params as { entity: string };
      return entity.endsWith(':batch')
        ? batch(x, nameOf(request, entity.slice(0, -':batch'.length)), request, reply)
        : create(x, nameOf(request, entity), request, reply);
    },
  );
  app.patch(
    '/api/v1/records/:entity/:key',
    {
      config,
      schema: {
        operationId: 'updateRecord',
        summary: 'Change some columns of a record (merge-patch), if it still is what you have seen',
        tags: ['records'],
        params: recordParams,
        headers: conditional,
        body: Record,
        response: { 200: Record, 204: z.null().describe('Changed; with Prefer: return=minimal') },
      },
    },
    async (request, reply) => {
      const name = nameOf(request, (request.params as { entity: string }).entity);
      const seen = ifMatch(request, hint);
      mustBeOne(seen);
      const o = cancelOfWrite(request);
      const desk = await deskOf(x);
      const r = await x.entities.within(name, o, (entity) =>
        writeRecord(
          entity,
          { op: 'update', key: readKey(entity, lastStep(request)), body: request.body, ifMatch: seen },
          writerOf(request),
          desk,
          o,
        ),
      );
      reply.header('etag', r.etag!).header('cache-control', 'no-store');
      return minimal(request, reply) ? reply.code(204).send() : reply.type(json).send(r.json);
    },
  );
  app.delete(
    '/api/v1/records/:entity/:key',
    {
      config,
      schema: {
        operationId: 'deleteRecord',
        summary: 'Delete a record, if it still is what you have seen',
        tags: ['records'],
        params: recordParams,
        headers: conditional,
        response: { 204: z.null().describe('Deleted') },
      },
    },
    async (request, reply) => {
      const name = nameOf(request, (request.params as { entity: string }).entity);
      const seen = ifMatch(request, hint);
      mustBeOne(seen);
      const o = cancelOfWrite(request);
      const desk = await deskOf(x);
      await x.entities.within(name, o, (entity) =>
        writeRecord(
          entity,
          { op: 'delete', key: readKey(entity, lastStep(request)), ifMatch: seen },
          writerOf(request),
          desk,
          o,
        ),
      );
      return reply.code(204).send();
    },
  );
};
