import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { LockstepError } from '../model/errors.ts';
import type { Api } from './api.ts';
import { type AppOptions, buildApp } from './app.ts';
import { hearOfClose } from './pipelined.ts';

/**
 * Connections that may wait to be accepted, or as many as the system allows: one for which there is no place hears nothing
 * for a second or more.
 */
const backlog = 4096;

export interface HttpOptions extends AppOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** How long requests in hand may take when the server closes; then they are stopped. Milliseconds. */
  readonly drainMs?: number;
}

export interface HttpServer {
  /** e.g. `http://127.0.0.1:8000`. */
  readonly url: string;
  /** Shows this certificate to connections from now on. Throws when it cannot be read; without TLS nothing happens. */
  renew(tls: { readonly key: string; readonly cert: string }): void;
  /** Takes no new requests, ends the streams, lets what is in hand finish, then stops it. */
  close(): Promise<void>;
}

/**
 * Node takes a connection for idle whose answer was given whole, though the client has not read it: closing it cuts the
 * answer off. Idle ones are closed when nothing is on its way; whoever closes them asks again. Tells whether something is.
 */
const closeOnlyIdle = (server: Server): (() => boolean) => {
  const sockets = new Set<Socket>();
  // by TLS what is held back is held by the one above
  for (const event of ['connection', 'secureConnection'])
    server.on(event, (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
  const sending = (): boolean => {
    for (const socket of sockets) if (socket.writableLength > 0) return true;
    return false;
  };
  const close = server.closeIdleConnections.bind(server);
  server.closeIdleConnections = () => {
    if (!sending()) close();
  };
  return sending;
};

/** Serves the API. Rejects when it cannot listen, or when a route is open to everybody without saying so. */
export const startHttp = async (api: Api, o: HttpOptions): Promise<HttpServer> => {
  const { app } = await buildApp(api, o);
  const sending = closeOnlyIdle(app.server);
  let busy = 0;
  const ended = (): void => {
    busy--;
  };
  app.server.on('request', (request, response) => {
    hearOfClose(request, response);
    busy++;
    // closed once; `once` would make a function for each
    response.on('close', ended);
  });
  try {
    await app.listen({ host: o.host, port: o.port, backlog });
  } catch (cause) {
    await app.close();
    if (cause instanceof LockstepError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL' && code !== 'ENOTFOUND') throw cause;
    const why =
      { EADDRINUSE: 'is in use', EACCES: 'is not allowed to this user' }[code as string] ?? 'is not of this machine';
    throw new LockstepError('USAGE', `cannot listen on ${o.host}:${o.port}: it ${why}`, {
      hint: 'Name another with --host and --port.',
      cause,
    });
  }
  const { address, port, family } = app.server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  let closed: Promise<void> | undefined;
  return {
    url: `${o.tls ? 'https' : 'http'}://${host}:${port}`,
    renew: (tls) => {
      if (o.tls) (app.server as unknown as TlsServer).setSecureContext({ ...tls, minVersion: 'TLSv1.2' });
    },
    close: () =>
      (closed ??= (async () => {
        const hard = setTimeout(() => app.server.closeAllConnections(), o.drainMs ?? 10_000);
        // Clients keep connections alive that were busy, and open some that they have not used yet.
        const idle = setInterval(() => {
          app.server.closeIdleConnections();
          if (busy === 0 && !sending()) app.server.closeAllConnections();
        }, 100);
        try {
          await app.close();
        } finally {
          clearTimeout(hard);
          clearInterval(idle);
        }
      })()),
  };
};
