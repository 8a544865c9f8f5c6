import { parseConfig } from '../../src/engines/http/config.ts';
import { HttpEndpoint } from '../../src/engines/http/endpoint.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Reader } from '../../src/model/reader.ts';
import type { Row } from '../../src/model/row.ts';
import type { Table } from '../../src/model/schema.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import type { VendorApi } from '../servers/vendor-api.ts';
import { licencesDeclared } from '../servers/vendor-licences.ts';

/** Time that passes at once, and remembers how long it was asked to. */
export const hastyClock = (): Clock & { readonly slept: number[] } => {
  const slept: number[] = [];
  let ahead = 0;
  return {
    slept,
    now: () => systemClock.now() + ahead,
    elapsed: () => systemClock.elapsed() + ahead,
    sleep: async (ms, signal) => {
      signal.throwIfAborted();
      slept.push(ms);
      ahead += ms;
    },
  };
};

export const { signal } = new AbortController();

/** An endpoint on an API; `resources` are those of the licences unless told. */
export const openApi = (
  api: Pick<VendorApi, 'url'>,
  o: {
    readonly http?: Readonly<Record<string, unknown>>;
    readonly writable?: boolean;
    readonly clock?: Clock;
    readonly timeoutMs?: number;
    readonly name?: string;
    readonly correlation?: string;
  } = {},
): Endpoint =>
  new HttpEndpoint(
    parseConfig({ url: api.url, http: { allow_private: true, resources: { licences: licencesDeclared }, ...o.http } }),
    {
      name: o.name ?? 'vendor',
      writable: o.writable ?? false,
      signal,
      ...(o.timeoutMs === undefined ? {} : { statementTimeoutMs: o.timeoutMs }),
      ...(o.correlation === undefined ? {} : { correlation: o.correlation }),
    },
    { clock: o.clock ?? hastyClock(), random: () => 0.5 },
  );

export const tableOf = async (endpoint: Endpoint, name = 'licences'): Promise<Table> =>
  (await endpoint.inspect({ signal })).tables.find((t) => t.name === name)!;

/** All native rows of a resource, by a new reader. */
export const rowsOf = async (endpoint: Endpoint, name = 'licences', read?: Reader): Promise<Row[]> => {
  const table = await tableOf(endpoint, name);
  const key = table.uniques[0]?.columns ?? [];
  const reader = read ?? (await endpoint.snapshot({ signal }));
  try {
    return (await Array.fromAsync(reader.scan(nativeSelection(table, key), { kind: 'all' }, { signal }))).flat();
  } finally {
    if (read === undefined) await reader[Symbol.asyncDispose]();
  }
};
