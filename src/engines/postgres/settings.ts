import { literal } from '../sql/quote.ts';

/** What is set in the sessions of one endpoint in its own way; the rest is the same everywhere. */
export interface SessionSettings {
  readonly statementTimeoutMs: number | undefined;
  /** Set for every transaction; `pg_catalog` first, so that nobody's schema comes before it. */
  readonly searchPath: string;
  /** UTF8; but a SQL_ASCII database vouches for nothing, so its bytes are taken as they are. */
  readonly clientEncoding: 'UTF8' | 'SQL_ASCII';
}

/** For a session whose statements are transactions of their own: every value has one text. */
export const pinSql = (x: SessionSettings, writable: boolean): string =>
  [
    `timezone = 'UTC'`,
    `datestyle = 'ISO, YMD'`,
    `intervalstyle = 'iso_8601'`,
    `standard_conforming_strings = on`,
    `xmloption = 'content'`,
    `lc_monetary = 'C'`,
    `default_transaction_read_only = ${writable ? 'off' : 'on'}`,
    `statement_timeout = ${x.statementTimeoutMs ?? 0}`,
    `search_path to ${x.searchPath}`,
  ]
    .map((setting) => `set ${setting}`)
    .join('; ');

/**
 * Begins a transaction in which every value has one text: the statements, whose last gives each setting as the server took
 * it, and the first of these that is not as it was set. `snapshot`: of another session's, exported there.
 */
export const beginning = (
  mode: 'read' | 'write',
  x: SessionSettings,
  snapshot: string | undefined,
): {
  readonly sql: string;
  refused(
    row: readonly (string | null)[] | undefined,
  ): { readonly name: string; readonly value: string; readonly is: string } | undefined;
} => {
  const settings: readonly (readonly [string, string])[] = [
    ['TimeZone', 'UTC'],
    ['DateStyle', 'ISO, YMD'],
    ['IntervalStyle', 'iso_8601'],
    ['extra_float_digits', '1'],
    ['bytea_output', 'hex'],
    ['lc_monetary', 'C'],
    ['client_encoding', x.clientEncoding],
    ['standard_conforming_strings', 'on'],
    ['xmloption', 'content'],
    ['quote_all_identifiers', 'off'],
    ['jit', 'off'],
    // a policy that hides rows must be an error, not a silent difference
    ['row_security', 'off'],
    ['statement_timeout', String(x.statementTimeoutMs ?? 0)],
    ['idle_in_transaction_session_timeout', '0'],
    ['search_path', x.searchPath],
  ];
  const shared = snapshot === undefined ? '' : `; set transaction snapshot ${literal(snapshot)}`;
  const begin =
    mode === 'read'
      ? `begin isolation level repeatable read, read only${shared}`
      : 'begin isolation level read committed, read write';
  const sets = settings.map(([name, value]) =>
    name === 'search_path' ? `set local search_path to ${value}` : `set local ${name} to ${literal(value)}`,
  );
  const read = settings.map(([name]) => `current_setting(${literal(name)})`).join(', ');
  // constraints that can wait wait for the last statement, which says which of them is broken
  const wait = mode === 'write' ? 'set constraints all deferred; ' : '';
  return {
    sql: `${begin}; ${sets.join('; ')}; ${wait}select ${read}`,
    refused: (row) => {
      for (const [i, [name, value]] of settings.entries()) {
        if (name === 'statement_timeout' || name === 'search_path') continue; // shown in the server's own way
        const is = row?.[i] ?? '';
        if (is !== value) return { name, value, is };
      }
      return undefined;
    },
  };
};
