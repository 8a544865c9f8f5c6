import { LockstepError } from '../../model/errors.ts';
import { literal } from './quote.ts';
import type { Session, StatementOptions } from './session.ts';

/** What the server says of itself, asked once at connect. */
export interface ServerFacts {
  readonly mariadb: boolean;
  /** Without suffixes, e.g. `10.11.19`. */
  readonly version: string;
  /** Identifies the server. */
  readonly server: string | undefined;
  readonly maxAllowedPacket: number;
  /** Names of variables that this server has. */
  readonly variables: ReadonlyMap<string, string>;
}

const asked = [
  'version',
  'server_uuid',
  'server_uid',
  'hostname',
  'max_allowed_packet',
  'max_statement_time',
  'max_execution_time',
  'idle_transaction_timeout',
  'idle_readonly_transaction_timeout',
  'idle_write_transaction_timeout',
  'information_schema_stats_expiry',
  'query_cache_type',
  'have_query_cache',
  'log_bin',
  'binlog_format',
  'read_only',
  'super_read_only',
  'ssl_cipher',
  'local_infile',
] as const;

export const readFacts = async (session: Session, o: StatementOptions): Promise<ServerFacts> => {
  const rows = await session.query(`show variables where variable_name in (${asked.map(literal).join(', ')})`, o);
  const variables = new Map(rows.map(([name, value]) => [name!.toLowerCase(), value ?? '']));
  const version = variables.get('version') ?? '';
  return {
    mariadb: /mariadb/i.test(version),
    version: /^\d+(\.\d+)*/.exec(version.replace(/^5\.5\.5-/, ''))?.[0] ?? version,
    server: variables.get('server_uuid') ?? variables.get('server_uid'),
    maxAllowedPacket: Number(variables.get('max_allowed_packet') ?? 4_194_304),
    variables,
  };
};

/**
 * Every value has one text, nothing is cut or replaced in silence, and what was stored before (a zero date, an
 * impossible one) can be stored again. A 0 in an AUTO_INCREMENT column is a 0.
 */
const modes = [
  'STRICT_ALL_TABLES',
  'ALLOW_INVALID_DATES',
  'ERROR_FOR_DIVISION_BY_ZERO',
  'NO_AUTO_VALUE_ON_ZERO',
  'NO_ENGINE_SUBSTITUTION',
];

const pinned: readonly (readonly [name: string, value: string])[] = [
  ['time_zone', '+00:00'],
  ['sql_mode', modes.join(',')],
  ['character_set_client', 'utf8mb4'],
  ['character_set_connection', 'utf8mb4'],
  ['character_set_results', 'utf8mb4'],
  ['foreign_key_checks', '1'],
  ['unique_checks', '1'],
];

const year = 31_536_000;

/** Settings that only some servers know, and those of rights or taste that need no check. */
const others = (facts: ServerFacts, timeoutMs: number | undefined): string[] => {
  const has = (name: string): boolean => facts.variables.has(name);
  return [
    'autocommit = 1',
    'completion_type = 0',
    'sql_auto_is_null = 0',
    'sql_safe_updates = 0',
    'sql_big_selects = 1',
    'sql_select_limit = 18446744073709551615',
    // keys are compared whole: no index holds more than 3072 bytes
    'max_sort_length = 4096',
    // whether a load went well is told by its warnings
    'sql_notes = 1',
    'max_error_count = 64',
    'innodb_lock_wait_timeout = 20',
    // a consumer that takes its time is no dead client
    `net_write_timeout = ${year}`,
    `wait_timeout = ${Math.min(year, 2_147_483)}`,
    ...(has('idle_transaction_timeout')
      ? ['idle_transaction_timeout = 0', 'idle_readonly_transaction_timeout = 0', 'idle_write_transaction_timeout = 0']
      : []),
    ...(has('information_schema_stats_expiry') ? ['information_schema_stats_expiry = 0'] : []),
    ...(facts.variables.get('have_query_cache') === 'YES' ? ['query_cache_type = 0'] : []),
    ...(has('max_statement_time') ? [`max_statement_time = ${(timeoutMs ?? 0) / 1000}`] : []),
    ...(has('max_execution_time') ? [`max_execution_time = ${Math.ceil(timeoutMs ?? 0)}`] : []),
  ];
};

const sameValue = (name: string, is: string, wanted: string): boolean => {
  if (name !== 'sql_mode') return is.toLowerCase() === wanted.toLowerCase();
  const set = (text: string): string => text.split(',').sort().join();
  return set(is) === set(wanted);
};

/** Pins what a session's values and writes depend on, and checks that the server took each setting. */
export const pinSession = async (
  session: Session,
  facts: ServerFacts,
  mode: 'read' | 'write',
  o: StatementOptions,
): Promise<void> => {
  const sets = [
    `time_zone = ${literal('+00:00')}`,
    `sql_mode = ${literal(modes.join(','))}`,
    'foreign_key_checks = 1',
    'unique_checks = 1',
    ...others(facts, session.context.statementTimeoutMs),
  ];
  // statement-based logs refuse what is written under `read committed`
  const logged = facts.variables.get('log_bin') === 'ON' && facts.variables.get('binlog_format') === 'STATEMENT';
  const level = mode === 'write' && !logged ? 'read committed' : 'repeatable read';
  const access = mode === 'read' ? 'read only' : 'read write';
  const { failed } = await session.run(
    [
      'set names utf8mb4 collate utf8mb4_bin',
      `set session ${sets.join(', session ')}`,
      `set session transaction isolation level ${level}, ${access}`,
    ],
    o,
  );
  if (failed) throw session.explain(failed.error, o);
  const [row] = await session.query(`select ${pinned.map(([name]) => `@@session.${name}`).join(', ')}`, o);
  pinned.forEach(([name, value], i) => {
    const is = row?.[i] ?? '';
    if (sameValue(name, is, value)) return;
    throw new LockstepError(
      'DATABASE',
      `${session.context.name}: the server did not take the setting ${name} = ${value}; it is ${is}`,
      {
        side: session.context.name,
        hint: 'Something between here and the server (a proxy?) changes sessions; connect to the server itself.',
      },
    );
  });
};
