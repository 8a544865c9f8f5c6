/**
 * The row hash, the same number on every engine. Written once here; engines that hash in SQL and the process that
 * hashes in JavaScript (`row-hash.ts`) follow this table to the letter.
 *
 *   row   = hashint8extended(0, h1 # h2 # … # hn)        (XOR of the columns, then the finaliser; never summed raw)
 *   h(c)  = NULL -> the column's constant `null`; otherwise by the kind of the common type:
 *
 *   int                hashint8extended(c, c # value)                   seeded by itself: the hash folds int8 to 32 bits
 *   decimal            hashint8extended(0, hash_numeric_extended(c, c < 0 ? negative : value))
 *                      NaN, Infinity, -Infinity -> constants nan, infinity, minusInfinity
 *                      (finalised by itself: the numeric hash XORs its weight in last, and two weights would cancel:
 *                      (1, 10000) and (10000, 1) would hash alike)
 *   float              hashfloat8extended(c, value)                     float4 widened; -0 is 0; one NaN
 *   bool               true -> constant `yes`, false -> constant `no` (not an `else`: NULL has its own)
 *   uuid               uuid_hash_extended(c, value)                     = hash over the 16 bytes
 *   text enum bit interval opaque json      hashtextextended(text COLLATE "C", value)      UTF-8 bytes of the canonical
 *                      text (json: as PostgreSQL writes the jsonb that it is, see `canon/jsonb-text.ts`, or of the
 *                      database's own rendering: `jsonb` and `weak` of `Hashing.supports`; opaque, interval: `::text`)
 *   json, `sent`       hashbyteaextended(jsonb_send(c), value): the byte 1 in front of the same bytes, as PostgreSQL sends the
 *                      jsonb to a client whose encoding is UTF-8, which is cheaper there than a text of it
 *   bytes              form bytes: hashbyteaextended(c, value); form hex: hashtextextended(encode(c,'hex'), value)
 *   date               int4 big-endian days since 2000-01-01     (date_send)      as bytes, by form
 *   time               int8 big-endian microseconds              (time_send)      as bytes, by form
 *   timestamp instant  int8 big-endian microseconds since 2000-01-01 (timestamp_send); infinity = max, -infinity = min
 *   misfit             hashtextextended(text, misfit), over the letter and the content without the mark in front:
 *                      what the type cannot read never equals what it can
 *
 *   bucket of a key = (k & 4294967295) % count, where k = hashint8extended(0, k1 # … # kn) is the finalised XOR of the
 *   key columns' hashes, made like the row's but with the constants of purpose `key` (see `columnSeeds`).
 *
 * hashtextextended, hashbyteaextended, uuid_hash_extended are lookup3 (Bob Jenkins) over the bytes with a 64-bit seed.
 * Every (column, role) has its own 64-bit constant mixed from the run's seed by splitmix64 (Steele, Lea, Flood 2014).
 */
export interface HashSpec {
  /** Random per run, 0 <= seed < 2^64; stored with the pair where hashes outlive a run. */
  readonly seed: bigint;
  /** How bytes, dates and times are fed to the hash: raw, or as hex text (PostgreSQL before 18 has no hash of bytea). */
  readonly form: 'bytes' | 'hex';
  /**
   * How JSON that the server keeps as jsonb is fed to the hash; absent: as text. Only for hashes that do not outlive a run,
   * and only where both sides offer it (`Hashing.sendsJson`): archives, plans and certificates keep a seed and a form alone.
   */
  readonly json?: 'sent';
}

export const roles = ['value', 'negative', 'null', 'nan', 'infinity', 'minusInfinity', 'yes', 'no', 'misfit'] as const;
export type Role = (typeof roles)[number];
export type ColumnSeeds = Readonly<Record<Role, bigint>>;

const mask = (1n << 64n) - 1n;

/** splitmix64 of one counter value. */
const splitmix64 = (x: bigint): bigint => {
  let z = (x + 0x9e3779b97f4a7c15n) & mask;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
  return z ^ (z >> 31n);
};

/**
 * The constants of the column at `index` of a selection. `purpose` separates the row hash from the key's hash that
 * chooses a bucket, so that rows of one bucket do not share anything.
 */
export const columnSeeds = (seed: bigint, index: number, purpose: 'row' | 'key'): ColumnSeeds => {
  const base = splitmix64((seed ^ (purpose === 'row' ? 0n : 0xa5a5a5a5a5a5a5a5n)) & mask);
  const of = (role: number): bigint => splitmix64((splitmix64((base + BigInt(index)) & mask) + BigInt(role)) & mask);
  return Object.fromEntries(roles.map((role, i) => [role, of(i)])) as unknown as ColumnSeeds;
};

/** The same 64 bits as PostgreSQL's signed bigint reads them. */
export const asInt64 = (x: bigint): bigint => BigInt.asIntN(64, x);
