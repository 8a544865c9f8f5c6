import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Begun } from './begun-early.ts';

/** A GET whose head is, byte for byte, one that Node has read on the same connection, but for what is asked for. */
export interface Repeated {
  /** As it was sent. */
  readonly url: string;
  /** Hash of the token that it shows. */
  readonly token: string;
  readonly socket: Socket;
  /** Is it still to be answered here? Not when Node has been given it meanwhile. */
  mine(): boolean;
}

/**
 * Begins to answer; undefined: it does not. Else `told` is called once, later, with the whole answer a byte a character, or
 * without one: then Node reads the request, and whoever answers is given what was settled about it.
 */
export type AnswerRepeated = (asked: Repeated, told: (answer: string | undefined) => void) => (() => Begun) | undefined;

/** What Node reads on connections whose clients may repeat themselves. */
export interface Repeats {
  /**
   * To be told of every request when it has been read, and of the hash of its token if it is kept alive, has no body,
   * and another that differs in its target alone would be read in the same way. Gives what was settled about it before.
   */
  saw(request: IncomingMessage, response: ServerResponse, token: string | undefined): Begun | undefined;
}

const method = 'GET ';
const version = ' HTTP/1.1\r\n';
const end = '\r\n\r\n';
/** A head that is longer is left to Node, which has limits of its own. */
const longest = 8192;

/** Fields of the head, with the empty line, of what is one whole GET and nothing else; undefined: it is something else. */
const fieldsOf = (text: string | undefined): string | undefined => {
  if (text === undefined || !text.startsWith(method) || text.indexOf(end) !== text.length - end.length)
    return undefined;
  const line = text.indexOf('\r\n');
  return text.endsWith(version, line + 2) ? text.slice(line + 2) : undefined;
};

/** What is asked for with these fields; undefined: the text has others. */
const targetOf = (text: string, fields: string): string | undefined => {
  const stop = text.length - fields.length - version.length;
  return stop > method.length &&
    text.endsWith(fields) &&
    text.startsWith(version, stop) &&
    text.startsWith(method) &&
    // the first line ends where the fields begin
    text.indexOf('\r') === stop + version.length - 2
    ? text.slice(method.length, stop)
    : undefined;
};

interface Watched {
  saw(response: ServerResponse, token: string | undefined): Begun | undefined;
  /** Node is to read what is in hand. */
  handOver(): void;
  /** Has all been answered that Node has read? */
  idle(): boolean;
}

const watch = (
  socket: Socket,
  o: {
    readonly answer: AnswerRepeated;
    readonly inHand: Set<Watched>;
    send(socket: Socket, answer: string): void;
    forget(): void;
  },
): Watched | undefined => {
  const [toNode, ...others] = socket.listeners('data') as ((chunk: Buffer) => void)[];
  if (toNode === undefined || others.length > 0) return undefined;
  /** Of the request that Node is given at this moment. */
  let offered: { readonly fields: string; readonly begun: Begun | undefined } | undefined;
  /** What the client has said and may repeat. */
  let said: { readonly fields: string; readonly token: string } | undefined;
  let last: ServerResponse | undefined;
  let left = false;
  let waiting: { readonly chunk: Buffer; readonly text: string; begun(): Begun } | undefined;

  /** From now on Node reads all, as if nobody had looked. */
  const leave = (): void => {
    if (left) return;
    left = true;
    socket.removeListener('data', onData);
    socket.on('data', toNode);
    o.forget();
  };
  const give = (chunk: Buffer): void => {
    // of one that has ended the parser may be another connection's by now
    if (!socket.destroyed && socket.writable) toNode.call(socket, chunk);
  };
  const pass = (chunk: Buffer, text: string | undefined, begun?: Begun): void => {
    const fields = fieldsOf(text);
    if (fields === undefined) leave();
    else offered = { fields, begun };
    give(chunk);
    // it made no request of it: what comes next may be the rest of something
    if (offered !== undefined) leave();
    offered = undefined;
  };
  const watched: Watched = {
    saw: (response, token) => {
      last = response;
      said = token !== undefined && offered !== undefined ? { fields: offered.fields, token } : undefined;
      const begun = offered?.begun;
      offered = undefined;
      return begun;
    },
    handOver: () => {
      if (waiting === undefined) return;
      const { chunk, text, begun } = waiting;
      waiting = undefined;
      o.inHand.delete(watched);
      pass(chunk, text, begun());
    },
    idle: () => last?.closed === true,
  };
  const answered = (chunk: Buffer, text: string): boolean => {
    if (said === undefined || last?.closed !== true || socket.writableLength > 0) return false;
    // it has a body, in a field behind those that Node tells of: this may be of it
    if (!last.req.complete) return false;
    const url = targetOf(text, said.fields);
    if (url === undefined) return false;
    const asked: Repeated = {
      url,
      token: said.token,
      socket,
      mine: () => waiting !== undefined && waiting === mine,
    };
    const begun = o.answer(asked, (answer) => {
      if (answer === undefined) return watched.handOver();
      waiting = undefined;
      o.inHand.delete(watched);
      o.send(socket, answer);
    });
    if (begun === undefined) return false;
    const mine = { chunk, text, begun };
    waiting = mine;
    o.inHand.add(watched);
    return true;
  };
  const onData = (chunk: Buffer): void => {
    if (waiting !== undefined) {
      // requests that follow one another at once: Node keeps their answers in order
      watched.handOver();
      leave();
      give(chunk);
      return;
    }
    const text = chunk.length <= longest ? chunk.toString('latin1') : undefined;
    if (text === undefined || !answered(chunk, text)) pass(chunk, text);
  };
  socket.removeListener('data', toNode);
  socket.on('data', onData);
  return watched;
};

/**
 * Lets requests be answered that Node need not read, which costs more than to answer them: a client that keeps its
 * connection says the same each time, but for what it asks for. What was read once needs not be read again, byte for
 * byte; everything else is Node's, which is also why nothing can be read here in another way than there. From the moment
 * of `closing` on Node reads all. For a server without TLS, before it listens.
 */
export const watchRepeats = (
  server: Server,
  o: { readonly answer: AnswerRepeated; readonly closing: AbortSignal },
): Repeats => {
  const all = new WeakMap<Socket, Watched>();
  const inHand = new Set<Watched>();
  let ready: (readonly [Socket, string])[] = [];
  /** Who reads slowly has the time that Node gives for an answer, not that of a connection on which nothing is asked. */
  const wait = (socket: Socket): void => {
    const { timeout } = socket;
    socket.setTimeout(server.timeout);
    socket.write('', () => {
      // else Node sets it when it has answered
      if (timeout !== undefined && all.get(socket)?.idle()) socket.setTimeout(timeout);
    });
  };
  const sendAll = (): void => {
    const sent = ready;
    ready = [];
    for (const [socket, answer] of sent) {
      if (!socket.writable) continue;
      socket.write(answer, 'latin1');
      if (socket.writableLength > 0) wait(socket);
    }
  };
  // what is ready at once goes out at once: a client that is not waited for need not be woken for each
  const send = (socket: Socket, answer: string): void => {
    if (ready.push([socket, answer]) === 1) process.nextTick(sendAll);
  };
  server.on('connection', (socket: Socket) => {
    const watched = watch(socket, { answer: o.answer, inHand, send, forget: () => void all.delete(socket) });
    if (watched !== undefined) all.set(socket, watched);
  });
  o.closing.addEventListener('abort', () => {
    for (const watched of inHand) watched.handOver();
  });
  return { saw: (request, response, token) => all.get(request.socket)?.saw(response, token) };
};
