import type { IncomingMessage } from 'node:http';
import type { Cancel } from '../model/cancel.ts';
import type { Entity } from '../records/entity.ts';
import { readKey } from '../records/key.ts';
import { type Parameters, readFields } from '../records/query.ts';
import { listRecords, readRecord } from '../records/read.ts';
import type { Seal } from '../records/seal.ts';
import type { AskedEarly } from './asked-early.ts';
import { cancelWith } from './cancel.ts';
import { jsonType, nextLink, privately } from './kept-records.ts';
import type { Exchange, Ready } from './look-early.ts';
import type { RecordRoutes } from './record-routes.ts';

/** Parameters that are written without an escape, so that they are what they look like. */
const plainQuery = /^\w+=[\w.,~:()*-]*(?:&\w+=[\w.,~:()*-]*)*$/;

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

const headers: readonly string[] = [...Object.entries(privately).flat(), 'content-type', jsonType];

const read = (
  entity: Entity,
  { principal, segment, url }: AskedEarly,
  parameters: Parameters,
  seal: Seal,
  o: Cancel,
): Promise<Ready> =>
  segment === undefined
    ? listRecords(entity, principal, parameters, { seal, count: undefined }, o).then(({ json, next }) => ({
        headers: next === undefined ? headers : [...headers, 'link', nextLink(url, next)],
        body: json,
      }))
    : readRecord(entity, principal, readKey(entity, segment), readFields(entity, parameters), seal, o).then(
        ({ json, etag }) => ({ headers: [...headers, 'etag', etag], body: json }),
      );

/**
 * Records and lists that are not kept, read before the app has looked at the request: by what it would call, for the
 * same caller. Whatever fails is told by the app. False: they cannot be; else `tell` is called once.
 */
export const readEarly =
  (x: RecordRoutes, ending: AbortSignal) =>
  (asked: AskedEarly, { request, response }: Exchange, tell: (ready: Ready | undefined) => void): boolean => {
    const { name, query } = asked;
    const seal = x.sealed();
    if (seal === undefined || (query !== undefined && !plainQuery.test(query))) return false;
    const parameters = parametersOf(query);
    const o = cancelWith(response, ending);
    const failed = (error: unknown): void => {
      failures.set(request, { error });
      tell(undefined);
    };
    // what cannot be understood is thrown at once
    try {
      x.entities
        .within(name, { ...o, reads: true }, (entity) => read(entity, asked, parameters, seal, o))
        .then(tell, failed);
    } catch (error) {
      failed(error);
    }
    return true;
  };
