/** A bare handler: Fastify, a pool, and the SQL it is given. What the records API is measured against. */
import { fastify } from 'fastify';
import pg from 'pg';

interface Given {
  readonly url: string;
  readonly list: { readonly sql: string; readonly columns: readonly string[] };
  readonly get: { readonly sql: string; readonly columns: readonly string[] };
}

const given = JSON.parse(process.argv[2]!) as Given;
const pool = new pg.Pool({ connectionString: given.url, max: 8 });
const app = fastify({ logger: false });

const ask = async (name: 'list' | 'get', values: readonly string[]): Promise<readonly Record<string, unknown>[]> => {
  const { sql, columns } = given[name];
  const { rows } = await pool.query({ name, text: sql, values: [...values], rowMode: 'array' });
  return rows.map((row: unknown[]) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
};

app.get<{ Querystring: { user_id: string; limit: string } }>('/list', async (request) => ({
  data: await ask('list', [request.query.user_id, String(Number(request.query.limit) + 1)]),
}));
app.get<{ Params: { id: string } }>('/get/:id', async (request, reply) => {
  const [row] = await ask('get', [request.params.id]);
  return row ?? reply.code(404).send({});
});
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0, backlog: 4096 })}\n`);
