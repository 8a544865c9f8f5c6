import type { Clock } from '../lib/clock.ts';
import type { Cancel } from '../model/cancel.ts';
import type { Endpoint, Fingerprint, ServerRole } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { ReplicaHealth } from './endpoints.ts';
import { type Breaker, verdictOn } from './endpoints-breaker.ts';

/** Where an endpoint can be: the configured server, or a replica of it by its number. */
export type Place = 'configured' | number;

export interface Chosen {
  readonly endpoint: Endpoint;
  readonly place: Place;
  /** A standby, because no server that takes writes was found. */
  readonly standIn?: { readonly reason: string; readonly behindMs: number | null };
}

interface Candidate {
  readonly place: number;
  readonly endpoint: Endpoint;
  readonly role: ServerRole;
}

export interface Wanted extends Cancel {
  readonly writable: boolean;
  /** A standby will do, which is then not writable, whatever was wanted. */
  readonly standIn: boolean;
  /** For small requests, which do not wait for long. */
  readonly request?: true;
  /** The run that it is for. */
  readonly correlation?: string;
  readonly traceparent?: string;
}

type Identity = Pick<Fingerprint, 'server' | 'database'>;

/** How long a replica may take to say what it is. */
const lookMs = 5_000;
/** What replicas said is asked anew after this, in the background. */
const freshMs = 10_000;

/**
 * Finds the server of an endpoint that has replicas, as `target_session_attrs` of libpq does: the one that takes writes,
 * wherever it is; of two that do, the one that was promoted last. A server of another identity is never used.
 */
export interface Places {
  choose(o: Wanted): Promise<Chosen>;
  replicas(): readonly ReplicaHealth[];
}

export const openPlaces = (x: {
  readonly name: string;
  replicas(): number;
  connect(place: Place, o: Omit<Wanted, 'standIn'>): Promise<Endpoint>;
  readonly breaker: Breaker;
  /** Which database this was when somebody wrote it down. */
  known(o: Cancel): Promise<Identity | undefined>;
  readonly clock: Clock;
  /** Ends what is asked in the background. */
  readonly signal: AbortSignal;
}): Places => {
  const { name, clock } = x;
  let identity: Identity | undefined;
  /** The greatest that was seen: a server with a smaller one was overtaken. */
  let timeline = 0;
  let seen: readonly ReplicaHealth[] = [];
  let lookedAt: number | undefined;
  let looking: Promise<unknown> | undefined;

  const same = (endpoint: Endpoint): boolean =>
    identity !== undefined &&
    endpoint.fingerprint.server === identity.server &&
    endpoint.fingerprint.database === identity.database;

  const ask = async (place: number, o: Cancel & Pick<Wanted, 'request'>): Promise<Candidate | string> => {
    const timeout = AbortSignal.timeout(lookMs);
    const signal = AbortSignal.any([o.signal, timeout]);
    let endpoint: Endpoint | undefined;
    try {
      endpoint = await x.connect(place, { ...o, writable: false, signal });
      const role = await endpoint.role?.({ signal });
      if (role !== undefined) return { place, endpoint, role };
      await endpoint[Symbol.asyncDispose]();
      return `${endpoint.engine} has no replicas that Lockstep knows of`;
    } catch (error) {
      await endpoint?.[Symbol.asyncDispose]();
      o.signal.throwIfAborted();
      if (timeout.aborted) return `did not answer within ${lookMs / 1000} s`;
      return error instanceof LockstepError ? error.message : 'failed';
    }
  };

  /** Asks all replicas at once. Those that are to be used must be of the same identity. */
  const look = async (o: Cancel & Pick<Wanted, 'request'>): Promise<readonly Candidate[]> => {
    const answers = await Promise.all(Array.from({ length: x.replicas() }, (_, i) => ask(i, o)));
    identity ??= await x.known(o);
    const at = clock.now();
    const usable: Candidate[] = [];
    const noted: ReplicaHealth[] = [];
    for (const [index, answer] of answers.entries()) {
      if (typeof answer === 'string') {
        noted.push({ index, address: undefined, at, problem: answer });
        continue;
      }
      const { endpoint, role } = answer;
      const { address } = endpoint.fingerprint;
      const problem =
        identity === undefined
          ? 'the primary has not been seen yet, so nobody knows whether this is its copy'
          : same(endpoint)
            ? undefined
            : `this is another server (${endpoint.fingerprint.server}) than the primary (${identity.server}), or another database of it`;
      noted.push({ index, address, at, role, ...(problem === undefined ? {} : { problem }) });
      if (problem === undefined) {
        usable.push(answer);
        if (!role.standby) timeline = Math.max(timeline, role.timeline);
      } else await endpoint[Symbol.asyncDispose]();
    }
    seen = noted;
    lookedAt = at;
    return usable;
  };

  const disposeAll = async (candidates: readonly Candidate[]): Promise<void> => {
    await Promise.allSettled(candidates.map((c) => c.endpoint[Symbol.asyncDispose]()));
  };

  /** Learns of promotions without keeping anybody waiting, but for the first who asks. */
  const lookAside = async (o: Cancel): Promise<void> => {
    if (lookedAt === undefined) return disposeAll(await look(o));
    if (clock.now() - lookedAt < freshMs || looking !== undefined) return;
    looking = look({ signal: x.signal })
      .then(disposeAll)
      .catch(() => {})
      .finally(() => {
        looking = undefined;
      });
  };

  const primaryDown = (reason: string, hint: string): LockstepError => {
    const wait = Math.max(1000, (x.breaker.retryAt ?? 0) - clock.now());
    return new LockstepError('PRIMARY_DOWN', `${name}: ${reason}`, {
      side: name,
      hint,
      retryAfterMs: Math.min(wait, 30_000),
      details: seen.map(
        (r) => `replica ${r.address ?? r.index}: ${r.problem ?? (r.role?.standby ? 'a standby' : 'takes writes')}`,
      ),
    });
  };

  /** Among the replicas: the server that takes writes now, else the standby that is least behind. */
  const elsewhere = async (o: Wanted, failure: LockstepError): Promise<Chosen> => {
    const found = await look(o);
    const leader = found
      .filter((c) => !c.role.standby && c.role.timeline >= timeline)
      .sort((a, b) => b.role.timeline - a.role.timeline)[0];
    const standby = found
      .filter((c) => c.role.standby)
      .sort((a, b) => (a.role.behindMs ?? Infinity) - (b.role.behindMs ?? Infinity))[0];
    const chosen = leader ?? (o.standIn ? standby : undefined);
    await disposeAll(found.filter((c) => c !== chosen || (c === leader && o.writable)));
    if (chosen !== undefined) {
      if (chosen === leader) {
        if (!o.writable) return { endpoint: chosen.endpoint, place: chosen.place };
        const endpoint = await x.connect(chosen.place, o);
        if (same(endpoint)) return { endpoint, place: chosen.place };
        await endpoint[Symbol.asyncDispose]();
        throw primaryDown(
          'another server answers now where the promoted replica was',
          'Look at what the address leads to.',
        );
      }
      const { behindMs } = chosen.role;
      return {
        endpoint: chosen.endpoint,
        place: chosen.place,
        standIn: { reason: `the primary is down: ${failure.message}`, behindMs },
      };
    }
    if (standby !== undefined)
      throw primaryDown(
        `the primary is down, and only a replica answers, which ${o.writable ? 'takes no writes' : 'may show older rows: not to be carried elsewhere'} (${failure.message})`,
        'Start the primary, or promote a replica: either is found without a restart.',
      );
    throw new LockstepError(failure.code, failure.message, {
      ...(failure.hint === undefined ? {} : { hint: failure.hint }),
      ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
      details: [
        ...failure.details,
        ...seen.map((r) => `replica ${r.address ?? r.index + 1}: ${r.problem ?? 'not used'}`),
      ],
      side: name,
      cause: failure,
    });
  };

  const choose: Places['choose'] = async (o) => {
    let endpoint: Endpoint;
    try {
      endpoint = await x.breaker.attempt(
        () => x.connect('configured', o),
        (connected) => connected.lazy !== true,
      );
    } catch (error) {
      const refused = error instanceof LockstepError && error.code === 'CIRCUIT_OPEN';
      if (x.replicas() === 0 || (!refused && verdictOn(name, error) !== 'down')) throw error;
      return elsewhere(o, error as LockstepError);
    }
    if (x.replicas() === 0) return { endpoint, place: 'configured' };
    try {
      if (endpoint.role === undefined)
        throw new LockstepError(
          'CONFIG',
          `${name}: \`replicas\` work with PostgreSQL, and this is ${endpoint.engine}`,
          {
            side: name,
            hint: 'Leave them out.',
          },
        );
      const role = await endpoint.role(o);
      const { server, database } = endpoint.fingerprint;
      if (identity === undefined || !role.standby) identity = { server, database };
      await lookAside(o);
      if (!role.standby && role.timeline >= timeline) {
        timeline = role.timeline;
        return { endpoint, place: 'configured' };
      }
      const why = role.standby
        ? 'the configured server follows another one now'
        : 'the configured server was overtaken by a promotion, and its rows went another way';
      const failure = primaryDown(why, 'Point `url` at the server that takes writes, and list the others as replicas.');
      try {
        const chosen = await elsewhere({ ...o, standIn: false }, failure);
        await endpoint[Symbol.asyncDispose]();
        return chosen;
      } catch (error) {
        // a standby is read; what was overtaken is never
        if (!role.standby || !o.standIn) throw error;
        const standIn = { reason: why, behindMs: role.behindMs };
        if (!o.writable) return { endpoint, place: 'configured', standIn };
        const readOnly = await x.connect('configured', { ...o, writable: false });
        await endpoint[Symbol.asyncDispose]();
        return { endpoint: readOnly, place: 'configured', standIn };
      }
    } catch (error) {
      await endpoint[Symbol.asyncDispose]();
      throw error;
    }
  };

  return { choose, replicas: () => seen };
};
