import type { Finding } from '../../model/endpoint.ts';
import type { Table } from '../../model/schema.ts';
import { finding, keyFindings, triggerFindings } from '../sql/finding.ts';
import { id, literal } from '../sql/quote.ts';
import { locksTable, stepsTable, tableFacts } from './catalogue.ts';
import { codecOf } from './charsets.ts';
import type { RawRow, Session, StatementOptions } from './session.ts';

export interface ExamineRequest {
  readonly tables: readonly Table[];
  readonly writable: boolean;
}

const trimmed = (expression: string): string => `trim(trailing from ${expression})`;

const aboutQuery = `
select ${trimmed('current_user')}, ${trimmed('current_role')}, mon$read_only, mon$page_size, mon$next_transaction - mon$oldest_active,
  (select count(*) from rdb$relations where rdb$relation_name in ('${stepsTable}', '${locksTable}'))
from mon$database`;

const isLocal = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host);

const connectionFindings = (session: Session): Finding[] => {
  const { host } = session.context.config;
  if (session.encrypted)
    return isLocal(host)
      ? []
      : [finding('ok', 'TLS', `the connection to ${host} is encrypted by the server's own wire encryption`)];
  if (isLocal(host)) return [];
  return [
    finding(
      'warning',
      'TLS',
      `the connection to ${host} is not encrypted: every row can be read on the way`,
      'WireCrypt = Required and AuthServer = Srp256, Srp in firebird.conf, and encrypt=required in the URL',
    ),
  ];
};

const databaseFindings = (row: RawRow, x: ExamineRequest): Finding[] => {
  const [user, , readOnly, , running, own] = row as readonly string[];
  const found: Finding[] = [];
  if (user === 'SYSDBA')
    found.push(
      finding(
        'warning',
        'RIGHTS_TOO_MANY',
        'SYSDBA may do everything; comparing needs select on the tables, writing needs insert, update and delete',
        "create user lockstep password '…'; then grant it only what the other findings name",
      ),
    );
  if (Number(running) > 100_000)
    found.push(
      finding(
        'advice',
        'OLD_TRANSACTION',
        `a transaction has been open for ${running} others: old versions of rows pile up, and reading slows down`,
        'select * from mon$transactions order by mon$timestamp rows 1; and end what you find',
      ),
    );
  if (!x.writable) return found;
  if (readOnly === '1')
    found.push(
      finding(
        'error',
        'READ_ONLY',
        'the database is read-only: nothing can be written to it',
        'gfix -mode read_write …',
      ),
    );
  if (own === '2') found.push(finding('ok', 'MARKER', 'the marker table is there'));
  else
    found.push(
      finding(
        'advice',
        'MARKER',
        `${user} will make the tables ${stepsTable} and ${locksTable}, where the marker of each written step is kept`,
      ),
    );
  return found;
};

const needed = { S: 'select', I: 'insert', U: 'update', D: 'delete' } as const;

const rightsFindings = async (
  session: Session,
  table: Table,
  user: string,
  role: string,
  x: ExamineRequest,
  o: StatementOptions,
): Promise<Finding[]> => {
  const [relation] = await session.query(
    `select ${trimmed('rdb$owner_name')} from rdb$relations where rdb$relation_name = ${literal(table.name)}`,
    o,
  );
  if (!relation) return [finding('error', 'TABLE_NOT_FOUND', `there is no table ${table.name} any more`)];
  if (user === 'SYSDBA' || role === 'RDB$ADMIN' || relation[0] === user) return [];
  const rows = await session.query(
    `select distinct ${trimmed('rdb$privilege')} from rdb$user_privileges
     where rdb$relation_name = ${literal(table.name)} and rdb$object_type in (0, 1) and rdb$field_name is null
       and (${trimmed('rdb$user')} in (${literal(user)}, 'PUBLIC') or ${trimmed('rdb$user')} = ${literal(role)})`,
    o,
  );
  const has = new Set(rows.map(([privilege]) => privilege as string));
  const wanted = (Object.keys(needed) as (keyof typeof needed)[]).filter(
    (p) => p === 'S' || (x.writable && table.kind !== 'view'),
  );
  const missing = wanted.filter((p) => !has.has(p)).map((p) => needed[p]);
  const extra = x.writable ? [] : (['I', 'U', 'D'] as const).filter((p) => has.has(p)).map((p) => needed[p]);
  const found: Finding[] = [];
  if (missing.length > 0)
    found.push(
      finding(
        'error',
        'RIGHTS_MISSING',
        `${user} may not ${missing.join(', ')} on ${table.name}`,
        `grant ${missing.join(', ')} on ${id(table.name)} to ${user};`,
      ),
    );
  if (extra.length > 0)
    found.push(
      finding(
        'advice',
        'RIGHTS_TOO_MANY',
        `${user} may ${extra.join(', ')} on ${table.name}, which is only read here`,
        `revoke ${extra.join(', ')} on ${id(table.name)} from ${user};`,
      ),
    );
  return found;
};

const shapeFindings = (table: Table, x: ExamineRequest): Finding[] => {
  const found = [...keyFindings(table, id(table.name))];
  const key = table.uniques.find((u) => u.total);
  const texts = (key?.columns ?? []).filter((name) => table.columns.find((c) => c.name === name)?.type.kind === 'text');
  if (texts.length > 0)
    found.push(
      finding(
        'advice',
        'INDEX',
        `the key of ${table.name} holds text (${texts.join(', ')}), which Firebird's indexes do not keep in the order of its bytes: the keys are sorted each time`,
      ),
    );
  if (x.writable) found.push(...triggerFindings(table));
  return found;
};

const charsetFindings = async (session: Session, table: Table, o: StatementOptions): Promise<Finding[]> => {
  const { columns } = await tableFacts(session, table, o);
  const { noneCharset } = session.context.config;
  const none = [...columns.values()].filter((c) => c.facts.charset === 'NONE').map((c) => c.name);
  const foreign = [...columns.values()].filter(
    (c) => !['', 'NONE', 'OCTETS'].includes(c.facts.charset) && codecOf(c.facts.charset) === undefined,
  );
  const found: Finding[] = [];
  if (none.length > 0)
    found.push(
      finding(
        'advice',
        'CHARSET',
        `${table.name} has texts without a character set (${none.join(', ')}); they are read as ${noneCharset}, and bytes that are none are kept apart`,
        'charset=WIN1252 in the URL (or none_charset) says what they hold',
      ),
    );
  if (foreign.length > 0)
    found.push(
      finding(
        'advice',
        'CHARSET',
        `${table.name} has texts in ${[...new Set(foreign.map((c) => c.facts.charset))].join(', ')}, which only the server reads: invalid bytes there are an error or, by its own doing, replaced`,
      ),
    );
  return found;
};

/** What the doctor says of this side: rights missing or too many, with the statement, encryption, keys, character sets. */
export const examine = async (
  session: Session,
  x: ExamineRequest,
  o: StatementOptions,
): Promise<readonly Finding[]> => {
  const [about] = await session.query(aboutQuery, o);
  const [user, role] = about as readonly string[];
  const found = [...connectionFindings(session), ...databaseFindings(about!, x)];
  for (const table of x.tables) {
    const rights = await rightsFindings(session, table, user!, role!, x, o);
    found.push(...rights);
    if (rights.some((f) => f.code === 'TABLE_NOT_FOUND')) continue;
    found.push(...shapeFindings(table, x), ...(await charsetFindings(session, table, o)));
  }
  return found;
};
