import type { IncomingMessage } from 'node:http';
import { mayAccess } from '../access/may-access.ts';
import type { Principal } from '../access/scopes.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Entity } from '../records/entity.ts';
import { readKey } from '../records/key.ts';
import { type Parameters, readFields } from '../records/query.ts';
import { listRecords, readRecord } from '../records/read.ts';
import type { Seal } from '../records/seal.ts';
import { cancelWith } from './cancel.ts';
import type { LookEarly, Ready } from './early.ts';
import { jsonType, listRoute, nextLink, recordRoute, ttlOf } from './kept-records.ts';
import type { RecordRoutes } from './record-routes.ts';

/** A list or a record whose entity, key and parameters are written without an escape, so that they are what they look like. */
const plainPath =
  /^\/api\/v1\/records\/([\w-]{1,200})(?:\/([\w.~,-]{1,200}))?(?:\?(\w+=[\w.,~:()*-]*(?:&\w+=[\w.,~:()*-]*)*))?$/;
const longest = 2000;

/** What reading met, of requests that the app answers after it. */
const failures = new WeakMap<IncomingMessage, { readonly error: unknown }>();

/** What reading for this request has met already: it is told, not tried again. */
export const metEarly = (request: IncomingMessage): { readonly error: unknown } | undefined => failures.get(request);

/** As the framework reads them: a name that is there several times has all its values. */
const parametersOf = (query: string | undefined): Parameters => {
  const parameters: Record<string, string | string[]> = Object.create(null);
  if (query === undefined) return parameters;
  for (const pair of query.split('&')) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, at);
    const value = pair.slice(at + 1);
    const before = parameters[name];
    if (before === undefined) parameters[name] = value;
    else if (typeof before === 'string') parameters[name] = [before, value];
    else before.push(value);
  }
  return parameters;
};

const headersOf = (more: readonly string[]): readonly string[] => [
  'vary',
  'authorization',
  'cache-control',
  'private, no-cache',
  'content-type',
  jsonType,
  ...more,
];

const read = (
  entity: Entity,
  principal: Principal,
  segment: string | undefined,
  parameters: Parameters,
  seal: Seal,
  url: string,
  o: Cancel,
): Promise<Ready> =>
  segment === undefined
    ? listRecords(entity, principal, parameters, { seal, count: undefined }, o).then(({ json, next }) => ({
        route: listRoute,
        headers: headersOf(next === undefined ? [] : ['link', nextLink(url, next)]),
        body: json,
      }))
    : readRecord(entity, principal, readKey(entity, segment), readFields(entity, parameters), seal, o).then(
        ({ json, etag }) => ({ route: recordRoute, headers: headersOf(['etag', etag]), body: json }),
      );

/**
 * Records and lists that are not kept, read before the app has looked at the request: by what it would call, for the
 * same caller. Whatever fails is told by the app.
 */
export const readEarly = (x: RecordRoutes, ending: AbortSignal): LookEarly | undefined => {
  // the path of an alias might be one that looks like a record's
  const { records } = x.api.config();
  if (Object.values(records).some(({ aliases }) => aliases.some((alias) => alias.startsWith('/records/'))))
    return undefined;
  return (request, response, principal, tell) => {
    const url = request.url!;
    if (url.length > longest) return false;
    const path = plainPath.exec(url);
    const seal = x.sealed();
    if (path === null || seal === undefined) return false;
    const name = path[1]!;
    const known = x.entities.known(name);
    if (known === undefined || !mayAccess(principal, { record: name })) return false;
    try {
      if (x.api.cache !== undefined && ttlOf(x, known) > 0) return false;
    } catch {
      // told by whoever answers
      return false;
    }
    const parameters = parametersOf(path[3]);
    const o = cancelWith(response, ending);
    const failed = (error: unknown): void => {
      failures.set(request, { error });
      tell(undefined);
    };
    // what cannot be understood is thrown at once
    try {
      x.entities
        .within(name, { ...o, reads: true }, (entity) => read(entity, principal, path[2], parameters, seal, url, o))
        .then(tell, failed);
    } catch (error) {
      failed(error);
    }
    return true;
  };
};
