import type { Finding } from '../../model/endpoint.ts';
import { type Table, tableLabel } from '../../model/schema.ts';
import { finding, keyFindings, triggerFindings } from '../sql/finding.ts';
import { isLocal, type MysqlConfig } from './config.ts';
import { id, literal, tableId } from './quote.ts';
import type { Session, StatementOptions, TextRow } from './session.ts';
import type { ServerFacts } from './settings.ts';

export interface ExamineRequest {
  readonly tables: readonly Table[];
  readonly writable: boolean;
}

const connectionFindings = (config: MysqlConfig): Finding[] => {
  if (isLocal(config)) return [];
  const { mode } = config.tls;
  const fix = 'sslmode=verify-full in the URL, or `tls: { mode: verify-full }`';
  if (mode === 'verify-full') return [finding('ok', 'TLS', `TLS with ${config.host} is verified`)];
  return mode === 'disable'
    ? [
        finding(
          'warning',
          'TLS',
          `the connection to ${config.host} is not encrypted: every row can be read on the way`,
          fix,
        ),
      ]
    : [
        finding(
          'advice',
          'TLS',
          `the connection to ${config.host} is encrypted, but whose server it is is not fully checked (${mode})`,
          fix,
        ),
      ];
};

/** `GRANT SELECT, INSERT ON `db`.* TO …` as what it gives where. */
interface Grant {
  readonly rights: ReadonlySet<string>;
  readonly on: string;
}

const readGrant = (line: string): Grant | undefined => {
  const m = /^GRANT (.+?) ON (?:TABLE )?(\S.*?) TO /i.exec(line);
  if (m === null) return undefined;
  const rights = m[1]!.split(/,(?![^(]*\))/).map((r) => r.trim().toUpperCase());
  return { rights: new Set(rights), on: m[2]!.replaceAll('\\_', '_').replaceAll('\\%', '%') };
};

const covers = (g: Grant, database: string, table: string | undefined): boolean =>
  g.on === '*.*' || g.on === `${id(database)}.*` || (table !== undefined && g.on === `${id(database)}.${id(table)}`);

const may = (grants: readonly Grant[], right: string, database: string, table?: string): boolean =>
  grants.some((g) => covers(g, database, table) && (g.rights.has(right) || g.rights.has('ALL PRIVILEGES')));

const needed = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];

const serverFindings = (
  facts: ServerFacts,
  grants: readonly Grant[],
  config: MysqlConfig,
  x: ExamineRequest,
): Finding[] => {
  const found: Finding[] = [];
  const everywhere = grants.find((g) => g.on === '*.*' && g.rights.has('ALL PRIVILEGES'));
  if (everywhere) {
    found.push(
      finding(
        'warning',
        'RIGHTS_TOO_MANY',
        `${config.user} may do everything on this server; comparing needs select on the tables, writing needs insert, update and delete`,
        `create user 'lockstep'@'…' identified by '…'; then grant it only what the other findings name`,
      ),
    );
  }
  if (!x.writable) return found;
  if (facts.variables.get('read_only') === 'ON' || facts.variables.get('super_read_only') === 'ON')
    found.push(finding('error', 'READ_ONLY', 'this server is read-only: a replica?', 'connect to its primary'));
  if (facts.variables.get('local_infile') === 'OFF') {
    found.push(
      finding(
        'advice',
        'LOCAL_INFILE',
        'local_infile is off at this server: many new rows are written by inserts, which takes about half as long again as loading them',
        'set global local_infile = 1;',
      ),
    );
  }
  const marker = ['CREATE', 'INSERT', 'UPDATE'].every((right) => may(grants, right, config.database));
  found.push(
    marker
      ? finding('ok', 'MARKER', `the marker table can be kept in ${config.database}`)
      : finding(
          'warning',
          'MARKER',
          `${config.user} may not make tables in ${config.database}, where the marker of each written step is kept; repeats are then recognised only by the state of the rows, unless lockstep_steps and lockstep_locks are there already`,
          `grant create, select, insert, update on ${id(config.database)}.* to ${literal(config.user)}@'…';`,
        ),
  );
  return found;
};

const rightsFindings = (table: Table, grants: readonly Grant[], config: MysqlConfig, x: ExamineRequest): Finding[] => {
  const database = table.schema ?? config.database;
  const has = needed.filter((right) => may(grants, right, database, table.name));
  const wanted = x.writable && table.kind !== 'view' ? needed : ['SELECT'];
  const missing = wanted.filter((right) => !has.includes(right));
  const names = (rights: readonly string[]): string => rights.join(', ').toLowerCase();
  const found: Finding[] = [];
  if (missing.length > 0) {
    found.push(
      finding(
        'error',
        'RIGHTS_MISSING',
        `${config.user} may not ${names(missing)} on ${tableLabel(table)} as a whole`,
        `grant ${names(missing)} on ${tableId(table)} to ${literal(config.user)}@'…';`,
      ),
    );
  }
  const extra = x.writable ? [] : has.filter((right) => right !== 'SELECT');
  if (extra.length > 0 && !may(grants, 'SUPER', '*')) {
    found.push(
      finding(
        'advice',
        'RIGHTS_TOO_MANY',
        `${config.user} may ${names(extra)} on ${tableLabel(table)}, which is only read here`,
        `revoke ${names(extra)} on ${tableId(table)} from ${literal(config.user)}@'…';`,
      ),
    );
  }
  return found;
};

const shapeFindings = (table: Table, row: TextRow | undefined, x: ExamineRequest): Finding[] => {
  const label = tableLabel(table);
  const found = [...keyFindings(table, tableId(table))];
  const [engine, transactions] = row ?? [];
  if (engine != null && transactions !== 'YES') {
    found.push(
      finding(
        x.writable ? 'error' : 'warning',
        'ENGINE',
        x.writable
          ? `${label} is kept by ${engine}, which has no transactions: it cannot be written`
          : `${label} is kept by ${engine}, which has no snapshots: what is written while it is read may show in part`,
        `alter table ${tableId(table)} engine = InnoDB;`,
      ),
    );
  }
  if (x.writable) found.push(...triggerFindings(table));
  return found;
};

const textKeyFindings = async (session: Session, table: Table, o: StatementOptions): Promise<Finding[]> => {
  const key = table.uniques.find((u) => u.total);
  const texts = (key?.columns ?? []).filter((name) => table.columns.find((c) => c.name === name)?.type.kind === 'text');
  if (texts.length === 0) return [];
  const rows = await session.query(
    `select column_name from information_schema.columns
     where table_schema = ${literal(table.schema ?? session.context.config.database)} and table_name = ${literal(table.name)}
       and collation_name not like '%\\_nopad\\_bin' and collation_name not like '%\\_0900\\_bin'`,
    o,
  );
  const sorted = texts.filter((name) => rows.some(([column]) => column === name));
  return sorted.length === 0
    ? []
    : [
        finding(
          'advice',
          'INDEX',
          `the key of ${tableLabel(table)} holds text in a collation's order (${sorted.join(', ')}); reading it in byte order sorts the table each time`,
          'a collation such as utf8mb4_nopad_bin (MariaDB) or utf8mb4_0900_bin (MySQL) for the column lets its index serve',
        ),
      ];
};

/** What the doctor says of this side: rights missing or too many, with the exact statement, TLS, engines, triggers, keys. */
export const examine = async (
  session: Session,
  facts: ServerFacts,
  x: ExamineRequest,
  o: StatementOptions,
): Promise<readonly Finding[]> => {
  const { config } = session.context;
  const lines = await session.query('show grants', o);
  const grants = lines.flatMap(([line]) => readGrant(line!) ?? []);
  // rights given by way of a role do not show here: then nothing is said of missing ones
  const byRole = lines.some(([line]) => /^GRANT (?!.* ON )/i.test(line!));
  const found = [...connectionFindings(config), ...serverFindings(facts, grants, config, x)];
  for (const table of x.tables) {
    const database = table.schema ?? config.database;
    const [row] = await session.query(
      `select t.engine, e.transactions from information_schema.tables t
       left join information_schema.engines e on e.engine = t.engine
       where t.table_schema = ${literal(database)} and t.table_name = ${literal(table.name)}`,
      o,
    );
    if (!row) {
      found.push(finding('error', 'TABLE_NOT_FOUND', `there is no table ${tableLabel(table)} any more`));
      continue;
    }
    const rights = rightsFindings(table, grants, config, x);
    found.push(...rights.filter((f) => !(byRole && f.code === 'RIGHTS_MISSING')), ...shapeFindings(table, row, x));
    found.push(...(await textKeyFindings(session, table, o)));
  }
  return found;
};
