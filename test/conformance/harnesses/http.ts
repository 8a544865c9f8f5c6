import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { http } from '../../../src/engines/http/index.ts';
import type { ColumnType } from '../../../src/model/schema.ts';
import { number, startVendorApi, type Value, type VendorItem, type VendorResource } from '../../servers/vendor-api.ts';
import type { Edit, Harness, KitRow, KitTable } from '../harness.ts';

const declared = (t: ColumnType): string => {
  switch (t.kind) {
    case 'int':
      return 'int';
    case 'decimal':
      return t.precision === undefined ? 'decimal' : `decimal(${t.precision}, ${t.scale ?? 0})`;
    case 'bytes':
      return 'base64';
    default:
      return t.kind;
  }
};

const value = (t: ColumnType, text: string | null): Value => {
  if (text === null) return null;
  switch (t.kind) {
    case 'int':
    case 'decimal':
    case 'float':
      return number(text);
    case 'bool':
      return text === 'true';
    case 'bytes':
      return Buffer.from(text, 'hex').toString('base64');
    case 'timestamp':
      return text.replace(' ', 'T');
    case 'instant':
      return `${text.replace(' ', 'T')}Z`;
    default:
      return text;
  }
};

const itemOf = (table: KitTable, row: KitRow): VendorItem =>
  Object.fromEntries(table.columns.flatMap((c) => (c.name in row ? [[c.name, value(c.type, row[c.name]!)]] : [])));

const named = (table: KitTable, row: readonly (string | null)[]): KitRow =>
  Object.fromEntries(table.columns.map((c, i) => [c.name, row[i]!]));

const shows = (table: KitTable, item: VendorItem, where: KitRow): boolean => {
  const wanted = itemOf(table, where);
  return Object.keys(wanted).every((name) => JSON.stringify(item[name]) === JSON.stringify(wanted[name]));
};

const resourceOf = (table: KitTable): VendorResource => ({
  key: table.key,
  items: table.rows.map((row) => itemOf(table, named(table, row))),
  pageSize: 1000,
});

/** How an API of the kit's tables is declared. */
const declaration = (tables: readonly KitTable[]) =>
  Object.fromEntries(
    tables.map((t) => {
      const path = `/${encodeURIComponent(t.name)}`;
      const item = `${path}${t.key.map((k) => `/{${k}}`).join('')}`;
      return [
        t.name,
        {
          list: {
            path,
            items: '/data',
            total: '/meta/total',
            page: { by: 'cursor', next: '/meta/next', param: 'cursor' },
          },
          ...(t.key.length === 0 ? {} : { read: item, update: item, delete: item, key: t.key }),
          create: path,
          columns: Object.fromEntries(
            t.columns.map((c) => [
              c.name,
              { type: declared(c.type), nullable: c.nullable ?? false, read_only: c.generated !== undefined },
            ]),
          ),
        },
      ];
    }),
  );

/** An API has no transactions and no snapshots; what that leaves out is tested for what holds instead. */
const cannot: readonly (readonly [RegExp, string])[] = [
  [/^a snapshot begins when it is taken/, 'a list is read when it is first asked for: http-reader.test.ts'],
  [
    /^(inserts, updates and deletes of several|a step that is repeated|a moved row stops|a change outside|NULL and the empty text are different|an insert never|what the database refuses|unique values can|the inverse of a step|every kind of value is written|batches may come|aborting between|a failure of the one|a step of thousands|an empty step)/,
    'a step is one item, guarded by its state: http-writer.test.ts',
  ],
  [
    /^(a second writer|a lock whose holder|our own tables)/,
    'nothing of ours can be kept in an API: http-writer.test.ts',
  ],
  [/^explicit keys of a/, 'an API has no sequences'],
];

export const httpHarness: Harness = {
  name: 'http',
  hashed: ['bool', 'int', 'decimal', 'float', 'text', 'uuid', 'bytes', 'date', 'time', 'timestamp', 'instant'],
  cannot: (name) => cannot.find(([pattern]) => pattern.test(name))?.[1],
  database: async (tables) => {
    const api = await startVendorApi({ resources: Object.fromEntries(tables.map((t) => [t.name, resourceOf(t)])) });
    return {
      connect: async ({ writable }) =>
        http.connect(http.parse({ url: api.url, http: { allow_private: true, resources: declaration(tables) } }), {
          name: 'kit',
          writable,
          signal: AbortSignal.timeout(120_000),
        }),
      edit: async (name, edit: Edit) => {
        const table = tables.find((t) => t.name === name)!;
        api.edit(name, (items) => {
          if ('insert' in edit) return [...items, ...edit.insert.map((row) => itemOf(table, row))];
          if ('delete' in edit) return items.filter((item) => !shows(table, item, edit.delete));
          return items.map((item) =>
            shows(table, item, edit.where) ? { ...item, ...itemOf(table, edit.update) } : item,
          );
        });
      },
      trace: async () => `${api.asked.filter((a) => a.method !== 'GET').length} writes`,
      expireLocks: async () => {},
      markers: async () => 0,
      [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
    };
  },
  bigRows: 200_000,
  bigTable: async (rows) => {
    const size = 5000;
    const server = createServer((req, res) => {
      const from = Number(new URL(req.url!, 'http://vendor').searchParams.get('from') ?? 0);
      const to = Math.min(from + size, rows);
      const items: string[] = [];
      for (let n = from + 1; n <= to; n++)
        items.push(
          `{"id":${n},"name":"row ${n}","amount":${n}.25,"at":"${new Date(946684800000 + n * 1000).toISOString()}"}`,
        );
      res.setHeader('content-type', 'application/json');
      if (to < rows) res.setHeader('link', `</v2/big?from=${to}>; rel="next"`);
      res.end(`[${items.join(',')}]`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/big#allow_private=true`,
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  },
};
