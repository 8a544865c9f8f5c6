import type { Claim, RecordRequests } from '../../model/record-requests.ts';
import type { Lock } from '../stored-values.ts';
import type { Database } from './database.ts';
import { plainText } from './values.ts';

/** What an answer is encrypted for. */
const placeOf = (actor: string, key: string): string => `request ${JSON.stringify([actor, key])}`;

export const recordRequestsOf = (database: Database): RecordRequests => ({
  claim: async ({ actor, key, hash, record }, o): Promise<Claim> => {
    const [made] = await database.query(
      `with old as (
         delete from lockstep_control.record_request where (actor, key) in (
           select actor, key from lockstep_control.record_request where begun < now() - interval '8 days' limit 100))
       insert into lockstep_control.record_request (actor, key, hash, record) values ($1, $2, $3, $4)
       on conflict (actor, key) do nothing returning actor`,
      [plainText(actor), plainText(key), hash, record === null ? null : plainText(record)],
      { ...o, name: 'claim_record_request' },
    );
    if (made) return { state: 'new' };
    const [found] = await database.query(
      `select hash, record, answer, extract(epoch from clock_timestamp() - begun) * 1000 as ago
       from lockstep_control.record_request where actor = $1 and key = $2`,
      [plainText(actor), plainText(key)],
      { ...o, place: () => placeOf(actor, key) },
    );
    // it had no effect and was forgotten, just now
    if (!found) return { state: 'begun', agoMs: 0, record: null };
    if (found['hash'] !== hash) return { state: 'mismatch' };
    const answer = found['answer'] as string | null;
    if (answer !== null) return { state: 'done', answer };
    return { state: 'begun', agoMs: Number(found['ago']), record: found['record'] as string | null };
  },
  takeOver: async ({ actor, key, hash }, olderThanMs, o) => {
    const rows = await database.query(
      `update lockstep_control.record_request set begun = clock_timestamp()
       where actor = $1 and key = $2 and hash = $3 and answer is null
         and begun < clock_timestamp() - $4::float8 * interval '1 millisecond' returning key`,
      [plainText(actor), plainText(key), hash, olderThanMs],
      o,
    );
    return rows.length === 1;
  },
  settle: async ({ actor, key, hash }, answer, o) => {
    await database.query(
      `update lockstep_control.record_request set answer = $4 where actor = $1 and key = $2 and hash = $3`,
      [plainText(actor), plainText(key), hash, (lock: Lock) => lock.text(answer, placeOf(actor, key))],
      { ...o, name: 'settle_record_request' },
    );
  },
  forget: async ({ actor, key, hash }, o) => {
    await database.query(
      `delete from lockstep_control.record_request where actor = $1 and key = $2 and hash = $3 and answer is null`,
      [plainText(actor), plainText(key), hash],
      o,
    );
  },
});
