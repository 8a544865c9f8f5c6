import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { mayAccess } from '../../access/may-access.ts';
import type { Answer } from '../../cache/answer.ts';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { RowCondition } from '../../model/rows.ts';
import { sees } from '../../records/caller.ts';
import { entitiesOf } from '../../records/entities.ts';
import type { Entity } from '../../records/entity.ts';
import { readFilter } from '../../records/json.ts';
import { noRecord, readKey } from '../../records/key.ts';
import { type Parameters, readFields } from '../../records/query.ts';
import { type Page as KnownPage, listRecords, readRecord } from '../../records/read.ts';
import { type Seal, sealOf } from '../../records/seal.ts';
import type { Routes } from '../api.ts';
import { cancelOf } from '../cancel.ts';
import { tagOf } from '../etag.ts';
import { readExactly } from '../exact-json.ts';
import {
  AnotherEntity,
  bypassed,
  countOf,
  fetched,
  jsonType,
  listRoute,
  lookUp,
  nextLink,
  privately,
  recordRoute,
} from '../kept-records.ts';
import { Page } from '../page.ts';
import { metEarly } from '../read-early.ts';
import { documentRecords } from '../record-document.ts';
import { asHttp, entityParams, lastStep, nameOf, Record, type RecordRoutes, recordParams } from '../record-routes.ts';
import { recordsEarly } from '../records-early.ts';
import { addRecordWrites } from './records-write.ts';

const sent = (reply: FastifyReply, json: string): FastifyReply => reply.headers(privately).type(jsonType).send(json);

/** Conditions that the path of an alias makes; a value that no row can have finds none. */
const fixedBy = (entity: Entity, request: FastifyRequest): readonly RowCondition[] =>
  Object.entries(request.params as Record<string, string>).map(([column, text]): RowCondition => {
    const field = entity.fields.get(column)!;
    if (!sees(request.principal, field)) {
      throw new LockstepError(
        'FORBIDDEN',
        `${request.principal.name} lacks the scope ${field.unless}, which sees ${column}`,
      );
    }
    const value = readFilter(field.column.type, text);
    return value === undefined ? { column, op: 'in', values: [] } : { column, op: 'eq', value };
  });

interface Making {
  kept(entity: Entity, o: Cancel): Promise<Omit<Answer, 'at'>>;
  plain(entity: Entity, o: Cancel): Promise<FastifyReply>;
}

/** Answers from what is kept, so that it is kept, or just so. */
const answer = (
  x: RecordRoutes,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
  make: Making,
): Promise<FastifyReply> => {
  const met = metEarly(request.raw);
  if (met !== undefined) throw met.error;
  const o = cancelOf(request, reply);
  if (request.place !== undefined) return answerInPlace(x, name, request, reply, make, o);
  return x.entities.within(name, { ...o, reads: true }, (entity) => make.plain(entity, o));
};

const answerInPlace = async (
  x: RecordRoutes,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
  make: Making,
  o: Cancel,
): Promise<FastifyReply> => {
  const { place } = request;
  if (place !== undefined && place !== 'bypass') {
    try {
      return await fetched(x, request, reply, place, o, (c) =>
        x.entities.within(name, { ...c, reads: true }, (entity) => {
          if (entity !== place.entity) throw new AnotherEntity();
          return make.kept(entity, c);
        }),
      );
    } catch (error) {
      if (!(error instanceof AnotherEntity)) throw error;
    }
  }
  bypassed(reply);
  return await x.entities.within(name, { ...o, reads: true }, (entity) => make.plain(entity, o));
};

const sendList = (
  x: RecordRoutes,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
  alias: boolean,
): Promise<FastifyReply> => {
  const known = x.sealed();
  return known === undefined
    ? x.seal().then((seal) => sendSealedList(x, seal, name, request, reply, alias))
    : sendSealedList(x, known, name, request, reply, alias);
};

const sendSealedList = (
  x: RecordRoutes,
  seal: Seal,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
  alias: boolean,
): Promise<FastifyReply> => {
  const count = countOf(request);
  const list = (entity: Entity, o: Cancel): Promise<KnownPage> =>
    listRecords(
      entity,
      request.principal,
      request.query as Parameters,
      { seal, count, ...(alias ? { fixed: fixedBy(entity, request) } : {}) },
      o,
    );
  return answer(x, name, request, reply, {
    kept: async (entity, o) => {
      const { json, next } = await list(entity, o);
      const body = Buffer.from(json);
      return { body, etag: tagOf(body), next };
    },
    plain: (entity, o) =>
      list(entity, o).then(({ json, next }) => {
        if (next !== undefined) reply.header('link', nextLink(request.url, next));
        if (count !== undefined) reply.header('preference-applied', `count=${count}`);
        return sent(reply, json);
      }),
  });
};

const listSchema = {
  tags: ['records'],
  response: {
    200: z.object({
      data: z.array(Record),
      page: Page.extend({ count: z.number().int().optional(), count_is: z.enum(['exact', 'estimated']).optional() }),
    }),
  },
};
const listConfig = { scope: 'records:read', objects: 'checked', problems: [400, 404, 502, 504] } as const;

const addReads = (app: FastifyInstance, x: RecordRoutes): void => {
  app.get(
    '/api/v1/records',
    {
      config: { scope: 'records:read', objects: 'checked', etag: true },
      schema: {
        operationId: 'listRecordEntities',
        summary: 'The tables that are served as records',
        tags: ['records'],
        response: {
          200: z.object({
            data: z.array(
              z.object({ name: z.string(), endpoint: z.string(), table: z.string(), aliases: z.array(z.string()) }),
            ),
          }),
        },
      },
    },
    async (request) => ({
      data: Object.values(x.api.config().records)
        .filter(({ name }) => mayAccess(request.principal, { record: name }))
        .map(({ name, endpoint, table, aliases }) => ({ name, endpoint, table, aliases: [...aliases] })),
    }),
  );
  app.get(
    listRoute,
    {
      config: listConfig,
      onRequest: lookUp(x, { list: true }),
      schema: {
        ...listSchema,
        operationId: 'listRecords',
        summary: 'Records, by typed filters such as status=eq.pending, sorted, page by page',
        params: entityParams,
      },
    },
    (request, reply) =>
      sendList(x, nameOf(request, (request.params as { entity: string }).entity), request, reply, false),
  );
  app.get(
    recordRoute,
    {
      config: { ...listConfig, etag: true },
      onRequest: lookUp(x, { list: false }),
      schema: {
        operationId: 'getRecord',
        summary: 'One record, with the ETag that changing it takes',
        tags: ['records'],
        params: recordParams,
        response: { 200: Record },
      },
    },
    (request, reply) => {
      const name = nameOf(request, (request.params as { entity: string }).entity);
      const known = x.sealed();
      return known === undefined
        ? x.seal().then((seal) => sendRecord(x, seal, name, request, reply))
        : sendRecord(x, known, name, request, reply);
    },
  );
};

const sendRecord = (
  x: RecordRoutes,
  seal: Seal,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> => {
  const get = (entity: Entity, o: Cancel): Promise<{ readonly json: string; readonly etag: string }> =>
    readRecord(
      entity,
      request.principal,
      readKey(entity, lastStep(request)),
      readFields(entity, request.query as Parameters),
      seal,
      o,
    );
  return answer(x, name, request, reply, {
    kept: async (entity, o) => {
      const { json, etag } = await get(entity, o);
      return { body: Buffer.from(json), etag, next: undefined };
    },
    plain: (entity, o) => get(entity, o).then(({ json, etag }) => sent(reply.header('etag', etag), json)),
  });
};

/** The paths that the configuration gives lists besides their own. Those of a reloaded one wait for a restart. */
const addAliases = (app: FastifyInstance, x: RecordRoutes): void => {
  for (const { name, aliases } of Object.values(x.api.config().records)) {
    for (const alias of aliases) {
      const url = `/api/v1${alias.replaceAll(/\{(\w+)\}/g, ':$1')}`;
      const columns = [...alias.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!);
      if (app.hasRoute({ method: 'GET', url }))
        throw new LockstepError('CONFIG', `records.${name}.aliases: ${alias} is a path of the API already`);
      app.get(
        url,
        {
          config: listConfig,
          onRequest: lookUp(x, { list: true, name }),
          schema: {
            ...listSchema,
            // the document shows it with its entity, to those who may know of that
            hide: true,
            ...(columns.length === 0
              ? {}
              : { params: z.object(Object.fromEntries(columns.map((c) => [c, z.string().min(1).max(1000)]))) }),
          },
        },
        (request, reply) => {
          if (!Object.hasOwn(x.api.config().records, name)) throw noRecord(name, request.url);
          return sendList(x, nameOf(request, name), request, reply, true);
        },
      );
    }
  }
};

export const records: Routes = (app, api) => {
  let seal: Promise<Seal> | undefined;
  let sealed: Seal | undefined;
  const x: RecordRoutes = {
    api,
    entities: entitiesOf({ config: () => api.config(), endpoints: api.endpoints, signal: api.signal }),
    sealed: () => sealed,
    seal: () => {
      if (seal !== undefined) return seal;
      seal = api.store.sharedSecret('records', { signal: api.signal }).then((secret) => (sealed = sealOf(secret)));
      seal.catch(() => {
        seal = undefined;
      });
      return seal;
    },
  };
  app.documented.push(documentRecords(x));
  app.lookEarly = recordsEarly(x, app.ending);
  app.register(async (scope) => {
    readExactly(scope);
    scope.decorateRequest('place', undefined);
    scope.setErrorHandler(async (error) => {
      throw asHttp(error);
    });
    addReads(scope, x);
    addAliases(scope, x);
    addRecordWrites(scope, x);
  });
};
