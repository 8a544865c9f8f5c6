import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What the proxy does with one piece that a client sends. */
export type Verdict =
  | 'pass'
  /** Cut the connection; the server never sees the piece. */
  | 'cut'
  /** Let the server have it, wait for its whole answer, and cut instead of delivering that: a lost reply. */
  | 'lose-reply';

export interface Proxy extends AsyncDisposable {
  /** The URL with this proxy in the place of the server. */
  readonly url: string;
  /** How many connections were cut on purpose. */
  readonly cuts: number;
}

/** `ReadyForQuery` of PostgreSQL's protocol with no transaction open: the last message of an answer to a commit. */
const ready = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/**
 * A proxy in front of a PostgreSQL server that cuts connections at chosen moments. `judge` sees the bytes of each
 * piece as text (latin1); the statements of the simple and extended protocols are readable in it. Without TLS only.
 */
export const cuttingProxy = async (serverUrl: string, judge: (sent: string) => Verdict): Promise<Proxy> => {
  const server = new URL(serverUrl);
  const open = new Set<Socket>();
  let cuts = 0;
  const listener = createServer((client) => {
    const upstream = connect(Number(server.port), server.hostname);
    let losing = false;
    let tail = Buffer.alloc(0);
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    const cut = (): void => {
      cuts++;
      client.destroy();
      upstream.destroy();
    };
    client.on('data', (piece) => {
      const verdict = judge(piece.toString('latin1'));
      if (verdict === 'cut') return cut();
      if (verdict === 'lose-reply') losing = true;
      upstream.write(piece);
    });
    upstream.on('data', (piece) => {
      if (!losing) return client.write(piece);
      tail = Buffer.concat([tail, piece]).subarray(-ready.length);
      if (tail.equals(ready)) cut();
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const url = new URL(serverUrl);
  url.host = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
  return {
    url: url.href,
    get cuts() {
      return cuts;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
};

/**
 * A proxy in front of a server that takes `delayMs` for each piece which the server sends, one after the other: a
 * connection over a long way, whose throughput is bounded however fast both ends are. A piece has at most 64 KiB.
 */
export const slowProxy = async (serverUrl: string, delayMs: number): Promise<Proxy> => {
  const server = new URL(serverUrl);
  const open = new Set<Socket>();
  const listener = createServer((client) => {
    const upstream = connect(Number(server.port), server.hostname);
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (piece) => upstream.write(piece));
    upstream.on('data', (piece) => {
      upstream.pause();
      setTimeout(() => {
        client.write(piece);
        upstream.resume();
      }, delayMs);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const url = new URL(serverUrl);
  url.host = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
  return {
    url: url.href,
    cuts: 0,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
};
