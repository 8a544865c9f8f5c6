/**
 * Answers 200 as Node would write them to a connection that is kept alive, put together here where Node has not read the
 * request.
 */
import type { Server } from 'node:http';
import type { Ready } from './look-early.ts';
import { safetyHeaders } from './safety-headers.ts';

/** What may end a field early, or is no byte of one (RFC 9110). */
const unsafe = /[^\t\x20-\x7e]/;

/** Undefined: a value cannot be sent as it is. */
const linesOf = (headers: readonly string[]): string | undefined => {
  let lines = '';
  for (let i = 0; i < headers.length; i += 2) {
    const value = headers[i + 1]!;
    if (unsafe.test(value)) return undefined;
    lines += `${headers[i]}: ${value}\r\n`;
  }
  return lines;
};

/** Of headers that are the same, and not only equal, the lines are put together once. */
const known = new WeakMap<readonly string[], string>();
const knownLinesOf = (headers: readonly string[]): string | undefined => {
  const before = known.get(headers);
  if (before !== undefined) return before;
  const lines = linesOf(headers);
  if (lines !== undefined) known.set(headers, lines);
  return lines;
};

const safe = linesOf(Object.entries(safetyHeaders).flat());

let second = 0;
let date = '';
/** As Node has it: made once a second. */
const dateNow = (): string => {
  const now = Date.now();
  const at = now - (now % 1000);
  if (at !== second) {
    second = at;
    date = new Date(at).toUTCString();
  }
  return date;
};

/** The whole answer, a byte a character; undefined: a header cannot be sent as it is. */
export const answerText = (
  server: Pick<Server, 'keepAliveTimeout'>,
  correlation: string,
  turn: readonly string[],
  { headers, body }: Ready,
): string | undefined => {
  const turns = linesOf(turn);
  const lines = knownLinesOf(headers);
  if (turns === undefined || lines === undefined) return undefined;
  const text = (typeof body === 'string' ? Buffer.from(body) : body).toString('latin1');
  const kept = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(server.keepAliveTimeout / 1000)}`;
  return `HTTP/1.1 200 OK\r\nx-request-id: ${correlation}\r\n${safe}${turns}${lines}content-length: ${text.length}\r\nDate: ${dateNow()}\r\n${kept}\r\n\r\n${text}`;
};
