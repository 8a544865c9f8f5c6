import type pg from 'pg';
import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { Connector } from './connector.ts';
import { storeError } from './errors.ts';

/** A host of the control store. */
export interface Host {
  /** For people. */
  readonly label: string;
  connect(o: Cancel): Promise<pg.Client>;
}

interface Role {
  readonly standby: boolean;
  readonly system: string;
  readonly timeline: number;
  readonly pid: number;
}

interface Found {
  readonly client: pg.Client;
  readonly host: Host;
  readonly role: Role;
}

const roleSql = `select pg_catalog.pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as standby,
  (select system_identifier::text from pg_catalog.pg_control_system()) as system, pg_catalog.pg_backend_pid() as pid,
  case when pg_catalog.pg_is_in_recovery() then 0
    else ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int end as timeline`;

/** How much longer than a standby the server that takes writes may take to answer. */
const leaderWaitMs = 1_000;
/** A server that was found is used without asking the others for so long. */
const trustMs = 10_000;
/** A connection to a standby is given up after so long, so that the primary is found when it is back. */
const standbyMs = 2_000;

/**
 * One URL for each host of `postgres://user@a:5432,b:5433/database`. `target_session_attrs` is left out: the server that
 * takes writes is looked for, whatever it says; asking for a standby is CONFIG.
 */
export const urlPerHost = (url: string): readonly string[] => {
  const found = /^([a-z]+:\/\/)((?:[^@/]*@)?)([^/?#]*)(.*)$/is.exec(url);
  if (found === null || !found[3]!.includes(',')) return [url];
  const [, scheme, login, hosts, rest] = found;
  const asked = /[?&]target_session_attrs=([^&#]*)/i.exec(rest!)?.[1];
  if (asked !== undefined && !['any', 'read-write', 'primary', 'prefer-standby'].includes(asked))
    throw new LockstepError('CONFIG', `control: target_session_attrs=${asked} asks for a server that takes no writes`, {
      hint: 'Leave it out: the server that takes writes is found, and a replica is read while there is none.',
    });
  const plain = rest!.replace(/([?&])target_session_attrs=[^&#]*&?/i, '$1').replace(/[?&]$/, '');
  return hosts!.split(',').map((host) => `${scheme}${login}${host.trim()}${plain}`);
};

const primaryDown = (description: string, why: string): LockstepError =>
  new LockstepError('PRIMARY_DOWN', `control store (${description}): ${why}`, {
    hint: 'Start the primary, or promote a replica: either is found without a restart. Until then what is there can be read.',
    retryAfterMs: 5_000,
  });

const another = (label: string): LockstepError =>
  new LockstepError('STORE', `control store: ${label} is another server than the others, not a copy of them`, {
    hint: 'List only hosts of one primary and its replicas.',
  });

/** Connections to the host that takes writes now; while none does, to a replica, for reading. */
export const hostsConnector = (x: { readonly description: string; readonly hosts: readonly Host[] }): Connector => {
  /** What is known to be the same store. */
  let system: string | undefined;
  let timeline = 0;
  let last: { readonly host: Host; readonly at: number } | undefined;
  const facts = new WeakMap<pg.Client, { readonly host: Host; readonly role: Role; readonly at: number }>();

  const ask = async (host: Host, o: Cancel): Promise<Found> => {
    const client = await host.connect(o);
    try {
      const { rows } = await client.query<Role>(roleSql);
      const role = rows[0]!;
      if (role.pid !== (client as unknown as { readonly processID: number | null }).processID)
        throw new LockstepError(
          'STORE',
          `the control store (${host.label}) is behind a connection pooler such as PgBouncer`,
          {
            hint: 'Give the addresses of the PostgreSQL servers themselves.',
          },
        );
      return { client, host, role };
    } catch (error) {
      client.end().catch(() => {});
      throw storeError(error, host.label);
    }
  };

  const known = ({ role }: Found): boolean => system === undefined || role.system === system;
  const better = (a: Found | undefined, b: Found): Found =>
    a === undefined || b.role.timeline > a.role.timeline ? b : a;

  /** Asks all hosts at once. The others are closed again, also those that answer late. */
  const search = async (
    o: Cancel,
  ): Promise<{ readonly found: Found | undefined; readonly failures: readonly unknown[] }> => {
    const waiting = new AbortController();
    const signal = AbortSignal.any([o.signal, waiting.signal]);
    const failures: unknown[] = [];
    const best: { leader?: Found; standby?: Found } = {};
    const systems = new Set<string>();
    let timer: NodeJS.Timeout | undefined;
    const enough = Promise.withResolvers<void>();
    const close = (f: Found | undefined): void => void f?.client.end().catch(() => {});
    const asked = x.hosts.map(async (host) => {
      try {
        const found = await ask(host, { signal });
        if (waiting.signal.aborted) return close(found);
        systems.add(found.role.system);
        if (!known(found)) {
          close(found);
          failures.push(another(host.label));
          return;
        }
        if (found.role.standby) {
          close(best.standby);
          best.standby = found;
        } else {
          const next = better(best.leader, found);
          close(next === found ? best.leader : found);
          best.leader = next;
        }
        // another one may have been promoted since: it is given a moment
        timer ??= setTimeout(enough.resolve, leaderWaitMs);
      } catch (error) {
        failures.push(error);
      }
    });
    await Promise.race([Promise.allSettled(asked), enough.promise]);
    clearTimeout(timer);
    waiting.abort();
    if (system === undefined && systems.size > 1) {
      close(best.leader);
      close(best.standby);
      throw another(x.hosts.map((h) => h.label).join(' or '));
    }
    const leader = best.leader !== undefined && best.leader.role.timeline >= timeline ? best.leader : undefined;
    if (best.leader !== leader) close(best.leader);
    if (leader !== undefined) close(best.standby);
    return { found: leader ?? best.standby, failures };
  };

  const note = (found: Found, at: number): pg.Client => {
    if (!found.role.standby) {
      system = found.role.system;
      timeline = Math.max(timeline, found.role.timeline);
    }
    facts.set(found.client, { host: found.host, role: found.role, at });
    return found.client;
  };

  const find = async (o: Cancel): Promise<pg.Client> => {
    const now = performance.now();
    if (last !== undefined && now - last.at < trustMs) {
      // one that vanished without a word must not be waited for: the others are asked, too
      const soon = { signal: AbortSignal.any([o.signal, AbortSignal.timeout(2 * leaderWaitMs)]) };
      const found = await ask(last.host, soon).catch(() => undefined);
      o.signal.throwIfAborted();
      if (found !== undefined && known(found) && !found.role.standby && found.role.timeline >= timeline)
        return note(found, now);
      found?.client.end().catch(() => {});
      last = undefined;
    }
    const { found, failures } = await search(o);
    o.signal.throwIfAborted();
    if (found === undefined) throw failures[0];
    if (!found.role.standby) last = { host: found.host, at: now };
    return note(found, now);
  };

  const isStandby = (client: pg.Client): boolean => facts.get(client)?.role.standby === true;

  return {
    description: x.description,
    connect: async (o) => {
      const client = await find(o);
      if (!o.writable || !isStandby(client)) return client;
      client.end().catch(() => {});
      throw primaryDown(x.description, 'only a replica answers, which takes no writes');
    },
    beside: (client, o) => facts.get(client)!.host.connect(o),
    usable: (client) => {
      const fact = facts.get(client);
      if (fact === undefined) return false;
      return fact.role.standby ? performance.now() - fact.at < standbyMs : fact.role.timeline >= timeline;
    },
    explain: (error, client) =>
      isStandby(client) && (error as { readonly code?: unknown }).code === '25006'
        ? primaryDown(x.description, 'only a replica answers, which takes no writes')
        : undefined,
  };
};
