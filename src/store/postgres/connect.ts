import pg from 'pg';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Connector } from './connector.ts';
import { storeError } from './errors.ts';
import { hostsConnector, urlPerHost } from './hosts.ts';

/** For people: without the password. What cannot be told apart from one is not shown at all. */
export const describeUrl = (text: string): string => {
  const found = /^(postgres(?:ql)?:\/\/)(?:([^:@/]*)(?::[^/]*)?@)?([^/?#]*)(\/[^?#]*)?/i.exec(text);
  if (found === null) return 'the given URL';
  const [, scheme, user, hosts, path] = found;
  const plain = hosts!.split(',').every((host) => /^(\[[^\]]*\]|[^:[\]]*)(:\d+)?$/.test(host.trim()));
  if (!plain || text.slice(found[0].length).includes('@') || path?.includes('@')) return 'the given URL';
  return `${scheme}${user ? `${user}@` : ''}${hosts}${path ?? ''}`;
};

/** Connects `client` unless aborted; errors in the user's words. */
export const connectClient = async (client: pg.Client, where: string, o: Cancel): Promise<pg.Client> => {
  client.on('error', () => {});
  // `end` would wait for a server that does not answer.
  const stop = (): void => {
    (
      client as unknown as { readonly connection: { readonly stream: { destroy(): void } } }
    ).connection.stream.destroy();
  };
  o.signal.throwIfAborted();
  o.signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    return client;
  } catch (cause) {
    client.end().catch(() => {});
    o.signal.throwIfAborted();
    throw storeError(cause, where);
  } finally {
    o.signal.removeEventListener('abort', stop);
  }
};

const connectUrl = async (url: string, description: string, o: Cancel): Promise<pg.Client> => {
  let client: pg.Client;
  try {
    client = new pg.Client({
      connectionString: url,
      application_name: 'lockstep',
      connectionTimeoutMillis: 15_000,
      keepAlive: true,
    });
  } catch {
    throw new LockstepError('CONFIG', `the control store URL (${description}) cannot be read`);
  }
  return connectClient(client, description, o);
};

/**
 * A pooler that hands transactions out to sessions gives itself away: the process it names is not the one that answers.
 * Behind one, session-level advisory locks and LISTEN would work at times, which is worse than not at all.
 */
const refusePooler = async (client: pg.Client, description: string): Promise<void> => {
  const { processID } = client as unknown as { readonly processID: number | null };
  const { rows } = await client.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
  if (rows[0]?.pid === processID) return;
  await client.end().catch(() => {});
  throw new LockstepError(
    'STORE',
    `the control store (${description}) is behind a connection pooler such as PgBouncer`,
    {
      hint: 'Give the address of the PostgreSQL server itself: Lockstep keeps locks and listens in its sessions, and has a pool of its own.',
    },
  );
};

/** One address per host, which say of TLS what the store's own connections do: as the driver reads it, off unless asked for. */
export const storeUrlsOf = (url: string): readonly string[] =>
  urlPerHost(url).map((host) =>
    /[?&]sslmode=/i.test(host)
      ? host
      : `${host}${host.includes('?') ? '&' : '?'}sslmode=${process.env['PGSSLMODE'] || 'disable'}`,
  );

/**
 * Connects to a PostgreSQL of the user's own. Several hosts, `postgres://user@a:5432,b:5432/database`, are a primary and
 * its replicas, in any order.
 */
export const urlConnector = (url: string): Connector => {
  if (!/^postgres(ql)?:\/\//i.test(url)) {
    throw new LockstepError(
      'CONFIG',
      'the control store must be a PostgreSQL URL: postgres://user@host:5432/database',
      {
        hint: 'Leave it out to use the embedded one under ./.lockstep.',
      },
    );
  }
  const description = describeUrl(url);
  const hosts = urlPerHost(url);
  if (hosts.length > 1)
    return hostsConnector({
      description,
      hosts: hosts.map((host) => {
        const label = describeUrl(host);
        return { label, connect: (o) => connectUrl(host, label, o) };
      }),
    });
  let direct = false;
  return {
    description,
    connect: async (o) => {
      const client = await connectUrl(hosts[0]!, description, o);
      if (!direct) {
        try {
          await refusePooler(client, description);
        } catch (error) {
          client.end().catch(() => {});
          throw storeError(error, description);
        }
        direct = true;
      }
      return client;
    },
  };
};
