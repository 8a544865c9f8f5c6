import assert from 'node:assert/strict';
import type { Change } from '../../src/model/change.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { LockstepError } from '../../src/model/errors.ts';
import type { Key, Row } from '../../src/model/row.ts';
import type { Table } from '../../src/model/schema.ts';
import { nativeSelection } from '../../src/model/selection.ts';
import type { Applied, TableChanges, Written } from '../../src/model/writer.ts';
import { startVendorApi, type VendorApi, type VendorResource } from '../servers/vendor-api.ts';
import { licences, licencesDeclared } from '../servers/vendor-licences.ts';
import { openApi, signal, tableOf } from './http-support.ts';

/** The licences of a vendor as a target, and changes made of what it holds. */
export interface Shop extends AsyncDisposable {
  readonly api: VendorApi;
  readonly endpoint: Endpoint;
  readonly table: Table;
  readonly names: readonly string[];
  row(id: string): Promise<Row | undefined>;
  insert(values: Readonly<Record<string, string | null>>): Change;
  update(id: string, set: Readonly<Record<string, string | null>>): Promise<Change>;
  remove(id: string): Promise<Change>;
  apply(change: Change, o?: { step?: number; written?: (w: Written) => void; signal?: AbortSignal }): Promise<Applied>;
  /** Methods of the writes that reached the API. */
  writes(): string[];
}

export const openShop = async (
  o: { change?: Partial<VendorResource>; resource?: object; count?: number; key?: readonly string[] } = {},
): Promise<Shop> => {
  const api = await startVendorApi({ resources: { licences: licences(o.count ?? 60, o.change) } });
  const endpoint = openApi(api, {
    writable: true,
    http: { resources: { licences: { ...licencesDeclared, ...o.resource } } },
  });
  const table = await tableOf(endpoint);
  const key = o.key ?? ['id'];
  const { columns } = nativeSelection(table, key);
  const names = columns.map((c) => c.name);
  const row = async (id: string): Promise<Row | undefined> => {
    await using reader = await endpoint.snapshot({ signal });
    const rows = await Array.fromAsync(reader.scan(nativeSelection(table, key), { kind: 'all' }, { signal }));
    return rows.flat().find((r) => r[0] === id);
  };
  const at = (set: object): number[] => names.flatMap((name, i) => (name in set ? [i] : []));
  return {
    api,
    endpoint,
    table,
    names,
    row,
    insert: (values) => {
      const after = names.map((name) => values[name] ?? null) as unknown as Row;
      return { op: 'insert', key: after.slice(0, 1), before: null, after, columns: at(values) };
    },
    update: async (id, set) => {
      const before = (await row(id))!;
      const after = before.map((cell, i) => (names[i]! in set ? set[names[i]!]! : cell)) as unknown as Row;
      return { op: 'update', key: [id] as unknown as Key, before, after, columns: at(set) };
    },
    remove: async (id) => ({ op: 'delete', key: [id] as unknown as Key, before: (await row(id))!, after: null }),
    apply: (change, a = {}) => {
      const batch: TableChanges = { table, key, changes: [change] };
      return endpoint.writer!.apply({ run: 'p_test', step: a.step ?? 1, token: 9_999_999_999_999n }, [batch], {
        signal: a.signal ?? signal,
        ...(a.written ? { written: a.written } : {}),
      });
    },
    writes: () => api.asked.filter((a) => a.method !== 'GET').map((a) => a.method),
    [Symbol.asyncDispose]: async () => {
      await endpoint[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
};

export const failure = async (work: Promise<unknown>): Promise<LockstepError> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.ok(error instanceof LockstepError, `it should have failed with a message, not ${String(error)}`);
  return error;
};

export const full = {
  id: '900',
  reference: 'LIC-00900',
  account: '12345678901234567',
  customer: 'Müller "und" Söhne',
  country: 'DE',
  tier: 'pro',
  status: 'active',
  seats: null,
  price: '19.99',
  features: '["sso"]',
  expires_at: '2026-01-01 00:00:00',
  updated_at: '2026-01-01 12:30:00.5',
};
