import type { AuditHead } from '../../model/audit.ts';
import type { Cancel } from '../../model/cancel.ts';
import { genesis } from '../audit-chain.ts';
import type { Connection, Rows } from './database.ts';

export const auditColumns =
  "seq, floor(extract(epoch from at) * 1000)::bigint as ms, at, actor, action, object, before, after, outcome, correlation, key, encode(hash, 'hex') as hash";

const toHead = (row: Rows[number] | undefined): AuditHead | undefined =>
  row && {
    seq: Number(row['seq']),
    hash: row['hash'] as string,
    key: row['key'] as string,
    mac: row['mac'] as string,
  };

/** The entry that stands last, whatever the signed end says. `seq` 0: none. */
export interface LastEntry {
  readonly seq: number;
  readonly hash: string;
  readonly key: string;
}

/** The signed end, and the last entry there is, seen at one moment. */
export const readEnds = async (
  connection: Pick<Connection, 'query'>,
  o: Cancel,
): Promise<{ readonly head: AuditHead | undefined; readonly last: LastEntry }> => {
  const [row] = await connection.query(
    `select h.seq, encode(h.hash, 'hex') as hash, h.key, encode(h.mac, 'hex') as mac,
            coalesce(l.seq, 0) as last, encode(l.hash, 'hex') as last_hash, l.key as last_key
     from (select 1) one left join lockstep_control.audit_head h on true
     left join (select seq, hash, key from lockstep_control.audit order by seq desc limit 1) l on true`,
    [],
    o,
  );
  return {
    head: row!['seq'] === null ? undefined : toHead(row),
    last: {
      seq: Number(row!['last']),
      hash: (row!['last_hash'] as string | null) ?? genesis.toString('hex'),
      key: (row!['last_key'] as string | null) ?? '',
    },
  };
};
