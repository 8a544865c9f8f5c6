import type { Redactor } from '../lib/redact.ts';
import { closest } from '../lib/suggest.ts';
import type { Endpoint, Engine } from '../model/endpoint.ts';
import { LockstepError } from '../model/errors.ts';
import type { Side } from './side.ts';

/** The engines there are, loaded when asked for. */
export interface Engines {
  readonly names: readonly string[];
  /** Engine of a URL's scheme. */
  ofUrl(url: string): string | undefined;
  load(name: string): Promise<Engine> | undefined;
}

/** What connecting needs of the world outside. */
export interface Doors {
  readonly engines: Engines;
  readonly redactor: Redactor;
}

/** An engine and its parsed settings. */
interface Found {
  readonly engine: Engine;
  readonly settings: unknown;
}

const engineFor = async (doors: Doors, side: Side): Promise<Found> => {
  const connection = side.connection();
  tellApart(doors.redactor, connection);
  const url = typeof connection === 'string' ? connection : connection['url'];
  const name = typeof url === 'string' ? doors.engines.ofUrl(url) : String(connection['engine' as never]);
  const scheme = typeof url === 'string' ? url.slice(0, Math.max(0, url.indexOf(':'))) : String(name);
  const loading = name === undefined ? undefined : doors.engines.load(name);
  if (loading === undefined) {
    const meant = closest(scheme, [...doors.engines.names, 'postgresql']);
    throw new LockstepError('CONFIG', `${side.name}: there is no engine \`${scheme}\` (${side.where})`, {
      side: side.name,
      hint: `${meant === undefined ? '' : `Did you mean ${meant}? `}Engines: ${doors.engines.names.join(', ')}.`,
    });
  }
  const engine = await loading;
  return { engine, settings: engine.parse(connection) };
};

/** The password of a connection is a secret, also when it stands in the config file; its user and database are none. */
const tellApart = (redactor: Redactor, connection: ReturnType<Side['connection']>): void => {
  const url = typeof connection === 'string' ? connection : connection['url'];
  const parts: Readonly<Record<string, unknown>> = typeof connection === 'string' ? {} : connection;
  if (parts['password'] !== undefined && parts['password'] !== '') redactor.add(String(parts['password']));
  const names = [parts['user'], parts['database']];
  const written = /^[a-z][a-z0-9+.-]*:\/\/([^/:@?#]*)(?::.*)?@[^/?#@]*(?:\/([^?#]*))?/is.exec(String(url ?? ''));
  for (const name of [...names, written?.[1], written?.[2]])
    if (typeof name === 'string' && name !== '') redactor.plain(name);
};

/** What a side is called in records: no secrets. */
export const describeSide = async (doors: Doors, side: Side): Promise<string> => {
  const { engine, settings } = await engineFor(doors, side);
  return engine.describe(settings);
};

/** The engine of a side that is not connected yet. */
export const engineOf = async (doors: Doors, side: Side): Promise<Engine> => {
  try {
    return (await engineFor(doors, side)).engine;
  } catch (error) {
    throw withOrigin(error, side);
  }
};

/** Connects one side. Failures name the side, and where a refused password came from. */
export const connectSide = async (doors: Doors, side: Side, signal: AbortSignal): Promise<Endpoint> => {
  try {
    const { engine, settings } = await engineFor(doors, side);
    return await engine.connect(settings, {
      name: side.name,
      writable: side.writable,
      signal,
      baseDir: side.baseDir,
      ...(side.correlation === undefined ? {} : { correlation: side.correlation }),
      ...(side.traceparent === undefined ? {} : { traceparent: side.traceparent }),
      ...(side.rowsPerSecond === undefined ? {} : { rowsPerSecond: side.rowsPerSecond }),
      ...(side.statementTimeoutMs === undefined ? {} : { statementTimeoutMs: side.statementTimeoutMs }),
    });
  } catch (error) {
    throw withOrigin(error, side);
  }
};

const withOrigin = (error: unknown, side: Side): unknown => {
  if (!(error instanceof LockstepError)) return error;
  const login = error.code === 'AUTH' && side.credentials.length > 0;
  const named = error.message.includes(side.name);
  if (!login && named) return error;
  return new LockstepError(error.code, named ? error.message : `${side.name}: ${error.message}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details: [
      ...error.details,
      ...(login ? [`the login came from ${side.credentials.join(', ')} (${side.where})`] : []),
    ],
    side: side.name,
    cause: error,
  });
};

export interface ConnectedSides extends AsyncDisposable {
  readonly source: Endpoint;
  readonly target: Endpoint;
}

/** Connects both sides at once; when one fails, the other is closed again and the first failure is told. */
export const connectBoth = async (
  doors: Doors,
  job: { readonly source: Side; readonly target: Side },
  signal: AbortSignal,
): Promise<ConnectedSides> => {
  const [source, target] = await Promise.allSettled([
    connectSide(doors, job.source, signal),
    connectSide(doors, job.target, signal),
  ]);
  if (source.status === 'fulfilled' && target.status === 'fulfilled') {
    return {
      source: source.value,
      target: target.value,
      [Symbol.asyncDispose]: async () => {
        await Promise.allSettled([source.value[Symbol.asyncDispose](), target.value[Symbol.asyncDispose]()]);
      },
    };
  }
  for (const side of [source, target]) if (side.status === 'fulfilled') await side.value[Symbol.asyncDispose]();
  throw (source.status === 'rejected' ? source : (target as PromiseRejectedResult)).reason;
};
