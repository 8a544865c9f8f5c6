import type pg from 'pg';

/** The bench's table: ten columns of everyday types, about 150 bytes a row, the shape the goals were set on. */
export type KeyKind = 'bigint' | 'uuid' | 'text';

const keyColumn: Readonly<Record<KeyKind, { readonly type: string; readonly value: string }>> = {
  bigint: { type: 'bigint', value: 'n' },
  uuid: { type: 'uuid', value: "md5('key ' || n)::uuid" },
  // The database's own (ICU) collation, and no index in binary order.
  text: { type: 'text', value: "'Kunde-' || md5(n::text)" },
};

/** SQL of the key of row `n`. */
export const keyOf = (kind: KeyKind): string => keyColumn[kind].value;

/** Creates and fills `name` with `rows` rows: the same rows for the same arguments, wherever it runs. */
export const createTable = async (client: pg.Client, name: string, kind: KeyKind, rows: number): Promise<void> => {
  const key = keyColumn[kind];
  await client.query(`create table ${name} (
    id ${key.type} not null, ref uuid not null, customer_id int not null, plan text, status text not null,
    amount numeric(12,2) not null, currency char(3) not null, started_at timestamptz not null,
    updated_at timestamptz, metadata jsonb)`);
  await client.query(`insert into ${name}
    select ${key.value}, md5('ref ' || n)::uuid, n % 50000,
           case when n % 9 = 0 then null else (array['starter','team','business','enterprise'])[1 + n % 4] end,
           (array['active','trialing','past_due','paused','canceled'])[1 + n % 5],
           (n * 7 % 1000000) / 100.0 - 500, (array['EUR','USD','JPY'])[1 + n % 3],
           timestamptz '2020-01-01 00:00Z' + n * interval '131 seconds 17 microseconds',
           case when n % 11 = 0 then null else timestamptz '2026-01-01 00:00Z' + n * interval '1 second' end,
           jsonb_build_object('seats', n % 250, 'tags', jsonb_build_array('a' || n % 7, 'b'), 'trial', n % 2 = 0)
    from generate_series(1, ${rows}) n`);
  await client.query(`alter table ${name} add primary key (id)`);
};

/** Copies `from` to `name` and makes `differences` rows differ, spread evenly. */
export const damagedCopy = async (
  client: pg.Client,
  from: string,
  name: string,
  rows: number,
  differences: number,
): Promise<void> => {
  const every = differences === 0 ? rows + 1 : Math.max(1, Math.floor(rows / differences));
  await client.query(`create table ${name} (like ${from})`);
  await client.query(`insert into ${name}
    select id, ref, customer_id, plan, case when picked then 'changed' else status end, amount, currency, started_at, updated_at, metadata
    from (select *, row_number() over () % ${every} = ${every - 1} as picked from ${from}) s`);
  await client.query(`alter table ${name} add primary key (id)`);
};
