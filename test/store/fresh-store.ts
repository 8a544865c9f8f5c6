import { after } from 'node:test';
import type { ServiceStore } from '../../src/model/service-store.ts';
import { auditKeyOf } from '../../src/store/audit-chain.ts';
import { urlConnector } from '../../src/store/postgres/connect.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { storeDatabase, type TestDatabase } from '../servers/postgres.ts';
import { o } from './plain.ts';

export const testAuditKeys = () => ({ current: auditKeyOf('the key of a test store'), old: [] });

/** A store in a fresh database, closed and dropped when the file is done. */
export const freshStore = async (): Promise<{ readonly store: ServiceStore; readonly database: TestDatabase }> => {
  const database = await storeDatabase();
  const store = await openPostgresStore(urlConnector(database.url), { ...o, auditKeys: testAuditKeys });
  after(async () => {
    await store[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });
  return { store, database };
};
