import type { Cancel } from '../../model/cancel.ts';
import { LockstepError } from '../../model/errors.ts';
import type { NewToken, Token, Tokens } from '../../model/tokens.ts';
import type { Connection, Database, Rows } from './database.ts';
import { fromJson, fromTime, plainText, toJson, toTime } from './values.ts';

const columns = 'id, name, role, scopes, bound, claims, created_by, created, expires, last_used, revoked';

const toToken = (row: Rows[number]): Token => ({
  id: row['id'] as string,
  name: row['name'] as string,
  role: row['role'] as string | null,
  scopes: row['scopes'] as readonly string[],
  only: fromJson<Token['only']>(row['bound']),
  claims: fromJson<Token['claims']>(row['claims']),
  createdBy: row['created_by'] as string,
  created: fromTime(row['created'])!,
  expires: fromTime(row['expires']),
  lastUsed: fromTime(row['last_used']),
  revoked: fromTime(row['revoked']),
});

const insert = async (connection: Pick<Connection, 'query'>, t: NewToken, when: string, o: Cancel) => {
  const rows = await connection.query(
    `insert into lockstep_control.token (id, name, hash, role, scopes, bound, claims, created_by, created, expires)
     select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 ${when}
     on conflict (name) where revoked is null do nothing returning ${columns}`,
    [
      t.id,
      plainText(t.name),
      Buffer.from(t.hash),
      t.role,
      t.scopes,
      toJson(t.only),
      JSON.stringify(t.claims),
      plainText(t.createdBy),
      toTime(t.created),
      toTime(t.expires),
    ],
    o,
  );
  return rows[0] && toToken(rows[0]);
};

export const tokensOf = (database: Database): Tokens => ({
  create: async (token, o) => {
    const made = await insert(database, token, '', o);
    if (made) return made;
    throw new LockstepError('CONFLICT', `there is a token named ${token.name} already`, {
      hint: `Take another name, or revoke that one: lockstep token revoke ${token.name}`,
    });
  },
  createFirst: (token, o) =>
    database.lend(o, async (connection) => {
      await connection.query('begin', [], o);
      await connection.query('lock table lockstep_control.token in share row exclusive mode', [], o);
      const made = await insert(connection, token, 'where not exists (select from lockstep_control.token)', o);
      await connection.query('commit', [], o);
      return made;
    }),
  byHash: async (hash, o) => {
    const [row] = await database.query(
      `select ${columns} from lockstep_control.token where hash = $1`,
      [Buffer.from(hash)],
      o,
    );
    return row && toToken(row);
  },
  list: async (o) =>
    (await database.query(`select ${columns} from lockstep_control.token order by created desc, id desc`, [], o)).map(
      toToken,
    ),
  revoke: async (idOrName, at, o) => {
    const [row] = await database.query(
      `update lockstep_control.token set revoked = coalesce(revoked, $2)
       where id = $1 or (name = $1 and revoked is null) returning ${columns}`,
      [plainText(idOrName), toTime(at)],
      o,
    );
    if (row) return toToken(row);
    throw new LockstepError('NOT_FOUND', `there is no token ${idOrName}`, { hint: 'List them: lockstep token list' });
  },
  used: async (id, at, o) => {
    await database.query(
      `update lockstep_control.token set last_used = $2
       where id = $1 and (last_used is null or last_used < $2::timestamptz - interval '1 minute')`,
      [id, toTime(at)],
      o,
    );
  },
});
