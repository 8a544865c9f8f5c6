import { STATUS_CODES } from 'node:http';
import { LockstepError } from '../../model/errors.ts';
import { isList, isObject, type Json, parseJson } from './json.ts';
import type { Reply } from './transport.ts';

/** A reply that is no list or item: why not, in plain words. Retrying may help where it was cut off on its way. */
export class NotJson extends Error {
  readonly again: boolean;
  constructor(message: string, again: boolean) {
    super(message);
    this.again = again;
  }
}

const jsonType = /^(application|text)\/([\w.+-]+\+)?json\b/i;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The JSON of a reply. Throws NotJson: another type, cut off, or not UTF-8. */
export const bodyOf = (reply: Reply): Json => {
  const type = reply.headers['content-type'];
  if (type !== undefined && !jsonType.test(type)) {
    const title = /html/i.test(type)
      ? /<title[^>]*>([^<]{1,80})/i.exec(reply.body.subarray(0, 20_000).toString('latin1'))?.[1]?.trim()
      : undefined;
    throw new NotJson(
      `${reply.status} with ${type.split(';')[0]!.trim()}${title ? ` "${title}"` : ''}, not JSON: is this the API, and is the login still valid?`,
      false,
    );
  }
  let text: string;
  try {
    text = utf8.decode(reply.body);
  } catch {
    throw new NotJson(`${reply.status} with a body that is not valid UTF-8`, false);
  }
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof RangeError) throw new NotJson(`${reply.status} with JSON that is nested too deeply`, false);
    throw new NotJson(
      `${reply.status} with ${text.trim() === '' ? 'an empty body' : `JSON that is cut off or broken (${reply.body.length} bytes)`}`,
      true,
    );
  }
};

const textOf = (value: Json | undefined): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;

const messageIn = (body: Json): string | undefined => {
  if (!isObject(body)) return undefined;
  const inner = isObject(body['error']) ? body['error'] : undefined;
  const list = isList(body['errors']) ? body['errors'][0] : undefined;
  const parts = [textOf(body['title']), textOf(body['detail'])].filter((p) => p !== undefined);
  return (
    (parts.length > 0 ? parts.join(': ') : undefined) ??
    textOf(body['message']) ??
    textOf(body['error_description']) ??
    textOf(body['error']) ??
    (inner === undefined ? undefined : (textOf(inner['message']) ?? textOf(inner['code']))) ??
    textOf(list) ??
    (isObject(list) ? (textOf(list['message']) ?? textOf(list['detail'])) : undefined)
  );
};

/** The status and the API's own words, shortened: `409 Conflict: seats must be positive`. */
export const wordsOf = (reply: Reply): string => {
  let said: string | undefined;
  try {
    said = messageIn(bodyOf(reply));
  } catch {}
  const status = `${reply.status} ${STATUS_CODES[reply.status] ?? ''}`.trim();
  return said === undefined ? status : `${status}: ${said.replaceAll(/\s+/g, ' ').slice(0, 300)}`;
};

/** What an answer that is not the wanted one means. */
export const refusedReply = (side: string, what: string, reply: Reply): LockstepError => {
  const words = wordsOf(reply);
  const make = (code: 'AUTH' | 'PRIVILEGE' | 'TABLE_NOT_FOUND' | 'CONNECT' | 'DATABASE', hint: string): LockstepError =>
    new LockstepError(code, `${side}: ${what} answered ${words}`, { side, hint });
  switch (reply.status) {
    case 401:
    case 407:
      return make('AUTH', 'Check http.auth of this endpoint: a token may have ended.');
    case 403:
      return make('PRIVILEGE', 'The login is known and may not do this: ask for the right, or take the resource out.');
    case 404:
    case 410:
      return make('TABLE_NOT_FOUND', 'Check the url of the endpoint and the path of the resource.');
    // The API itself is away: what stands before it, or what it is in front of, says so.
    case 502:
    case 503:
    case 504:
      return make('CONNECT', 'The API is away or overloaded; each request was tried as often as `retry` says.');
    default:
      return make('DATABASE', 'See what the API says of it; the request is written as http.resources declares it.');
  }
};
