import type { ConnectionOptions } from 'node:tls';
import type { PostgresConfig } from './config.ts';
import { openSocket } from './tls.ts';

/** What identifies a server process to cancel what it runs. */
export interface BackendKey {
  readonly processId: number;
  readonly secretKey: number;
}

/**
 * Asks the server to cancel the statement that a session runs (protocol: CancelRequest on a connection of its own).
 * Resolves when the server has taken the request; a failure to deliver it is not an error of the statement.
 */
export const requestCancel = async (
  c: PostgresConfig,
  tls: ConnectionOptions | undefined,
  key: BackendKey,
): Promise<void> => {
  try {
    const socket = await openSocket(c, tls);
    const packet = Buffer.alloc(16);
    packet.writeInt32BE(16, 0);
    packet.writeInt32BE(80877102, 4);
    packet.writeInt32BE(key.processId, 8);
    packet.writeInt32BE(key.secretKey, 12);
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
      socket.once('error', () => resolve());
      socket.setTimeout(10_000, () => socket.destroy());
      socket.resume();
      // the server closes it when it is done; PgBouncer 1.18 dies of a client that does so first
      socket.write(packet);
    });
  } catch {
    // the statement ends on its own, or with its connection
  }
};
