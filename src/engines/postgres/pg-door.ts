import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import type { PostgresConfig } from './config.ts';
import { openSocket } from './tls.ts';

const plus = 'SCRAM-SHA-256-PLUS';

/** AuthenticationSASL without the way that binds the login to TLS, of which the program knows nothing. */
const withoutPlus = (message: Buffer): Buffer => {
  if (message.readInt32BE(5) !== 10) return message;
  const names = message
    .subarray(9)
    .toString('latin1')
    .split('\0')
    .filter((name) => name !== '' && name !== plus);
  const body = Buffer.from(`${names.join('\0')}\0\0`, 'latin1');
  const head = Buffer.from(message.subarray(0, 9));
  head.writeInt32BE(8 + body.length, 1);
  return Buffer.concat([head, body]);
};

/**
 * What the server says, up to and with its first question for a password changed so that it can be answered: libpq
 * refuses a server that offers to bind a login to a TLS that libpq does not see. We bind no login either.
 */
const firstQuestion = (): Transform => {
  let held = Buffer.alloc(0);
  let asked = false;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (asked) return done(null, chunk);
      held = Buffer.concat([held, chunk]);
      while (!asked && held.length >= 9) {
        const end = 1 + held.readInt32BE(1);
        if (held.length < end) break;
        asked = held[0] === 0x52;
        const message = held.subarray(0, end);
        this.push(asked ? withoutPlus(message) : message);
        held = held.subarray(end);
      }
      if (asked && held.length > 0) this.push(held);
      done();
    },
    flush(done) {
      if (!asked && held.length > 0) this.push(held);
      done();
    },
  });
};

/**
 * A socket in a folder of our own that leads to the server by connections of ours: what is asked of TLS holds for the
 * programs behind it, too, and no certificate has to be written down for them. `host` is the folder.
 */
export const openDoor = async (
  config: PostgresConfig,
  tls: ConnectionOptions | undefined,
): Promise<{ readonly host: string } & AsyncDisposable> => {
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-pg-'));
  const open = new Set<Socket>();
  const keep = (socket: Socket, other: () => void): void => {
    open.add(socket);
    socket.on('error', other);
    socket.once('close', () => {
      open.delete(socket);
      other();
    });
  };
  const server = createServer((client) => {
    keep(client, () => client.destroy());
    openSocket(config, tls).then(
      (there) => {
        there.setTimeout(0);
        there.removeAllListeners('error');
        keep(there, () => client.destroy());
        client.once('close', () => there.destroy());
        client.pipe(there);
        there.pipe(firstQuestion()).pipe(client);
      },
      () => client.destroy(),
    );
  });
  server.listen(join(folder, `.s.PGSQL.${config.port}`));
  await once(server, 'listening');
  return {
    host: folder,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
};
