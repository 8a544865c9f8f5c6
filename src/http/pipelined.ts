import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

const behind = new WeakMap<Socket, Set<ServerResponse>>();

const waitingOn = (socket: Socket): Set<ServerResponse> => {
  const known = behind.get(socket);
  if (known !== undefined) return known;
  const made = new Set<ServerResponse>();
  behind.set(socket, made);
  socket.on('close', () => {
    for (const response of made) {
      if (response.socket !== null) continue;
      response.destroyed = true;
      response.emit('close');
      // Node may say it once more when those before are answered
      response.removeAllListeners('close');
    }
  });
  return made;
};

/** Does the answer wait until others have gone out that were asked for before on the same connection? */
export const isBehind = (response: ServerResponse): boolean => response.socket === null;

/**
 * Lets the answer to a pipelined request hear that its client has gone, as the one does that is being sent: Node tells
 * those that wait behind it nothing.
 */
export const hearOfClose = (request: IncomingMessage, response: ServerResponse): void => {
  if (!isBehind(response)) return;
  const waiting = waitingOn(request.socket);
  waiting.add(response);
  response.on('close', () => waiting.delete(response));
};

/**
 * Is there a request on the connection that was read whole, or is being answered? Then a complaint about what came after
 * it would be taken for its answer.
 */
export const isAnswering = (socket: Duplex): boolean => {
  // what is being answered: Node looks there itself
  const answer = (socket as Duplex & { readonly _httpMessage?: ServerResponse | null })._httpMessage;
  return answer !== undefined && answer !== null && (answer.headersSent || answer.req.complete);
};
