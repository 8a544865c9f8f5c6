import assert from 'node:assert/strict';
import type { Cell, Row, Text } from '../../../src/model/row.ts';
import type { RowCondition, RowOrder, RowPage, RowWrite, TableRows } from '../../../src/model/rows.ts';
import type { KitTable } from '../harness.ts';
import { type Case, inspected, type Lab, same } from '../lab.ts';

const decimalOf = (lab: Lab): { readonly precision: number; readonly value: string } =>
  lab.harness.name === 'firebird'
    ? { precision: 18, value: '12345678901234.5678' }
    : lab.harness.name === 'sqlite'
      ? { precision: 15, value: '12345678901.2345' }
      : { precision: 30, value: '12345678901234567890123456.7891' };

const moment = '2024-05-01 12:00:00.123456';

/** Sixty rows with ties and NULLs in what is sorted by. */
const kitOf = (lab: Lab): KitTable => ({
  name: 'things',
  columns: [
    { name: 'id', type: { kind: 'int', bits: 64 } },
    { name: 'name', type: { kind: 'text' }, nullable: true },
    { name: 'grp', type: { kind: 'int', bits: 32 }, nullable: true },
    { name: 'amount', type: { kind: 'decimal', precision: decimalOf(lab).precision, scale: 4 }, nullable: true },
    { name: 'at', type: { kind: 'timestamp', fraction: 6 }, nullable: true },
    { name: 'ok', type: { kind: 'bool' } },
    { name: 'data', type: { kind: 'bytes' }, nullable: true },
  ],
  key: ['id'],
  unique: [['name']],
  rows: Array.from({ length: 60 }, (_, i) => [
    String(i + 1),
    i % 20 === 7 ? null : `n${i + 1}`,
    i % 4 === 3 ? null : String(i % 3),
    i % 5 === 0 ? null : `${i}.5`,
    i % 6 === 0 ? null : `2024-05-01 12:${String(i).padStart(2, '0')}:00`,
    i % 2 === 0 ? 'true' : 'false',
    i % 3 === 0 ? null : '00ff',
  ]),
});

const names = ['id', 'name', 'grp', 'amount', 'at', 'ok', 'data'];
const cells = (...values: readonly (string | null)[]): Row => values as Row;
const guard = { visible: [], allowed: [] };

const opened = async (lab: Lab) => {
  const kit = kitOf(lab);
  const database = await lab.database(kit);
  const endpoint = await lab.open(database, { writable: true });
  const table = await inspected(lab, endpoint, kit.name);
  const rows = await endpoint.rows!.of(table, ['id'], { signal: lab.signal });
  const o = { signal: lab.signal };
  const page = (p: Partial<RowPage>): Promise<readonly Row[]> =>
    rows.list({ columns: ['id'], where: [], order: [], limit: 200, ...p }, o);
  const ids = async (...where: readonly RowCondition[]): Promise<number[]> =>
    (await page({ where })).map(([id]) => Number(id));
  const write = async (...writes: readonly RowWrite[]) => rows.write!(writes, { columns: names, atomic: true }, o);
  return { kit, database, endpoint, table, rows, o, page, ids, write };
};

/** Reads everything page by page; `between` is called after each. */
const walk = async (
  rows: TableRows,
  lab: Lab,
  order: readonly RowOrder[],
  limit: number,
  between: (page: number) => Promise<void> = async () => {},
): Promise<string[]> => {
  const seen: string[] = [];
  const columns = [...order.map((o) => o.column), ...(order.some((o) => o.column === 'id') ? [] : ['id'])];
  const at = columns.indexOf('id');
  let after: readonly Cell[] | undefined;
  for (let n = 0; ; n++) {
    const found = await rows.list(
      { columns, where: [], order, limit, ...(after === undefined ? {} : { after }) },
      { signal: lab.signal },
    );
    seen.push(...found.map((row) => row[at]!));
    if (found.length < limit) return seen;
    after = found.at(-1)!;
    await between(n);
    assert.ok(n < 200, 'pages end');
  }
};

const text = (value: string): Text => value as Text;

export const rowCases: readonly Case[] = [
  {
    name: 'rows are found by typed conditions; values that no row can have find none; NULL is found only by its own name',
    run: async (lab) => {
      const { rows, o, ids, page } = await opened(lab);
      const value = (column: string, op: 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte', v: string): RowCondition => ({
        column,
        op,
        value: text(v),
      });
      same(await ids(value('id', 'eq', '17')), [17]);
      same(await ids(value('id', 'gt', '57')), [58, 59, 60]);
      same(await ids(value('id', 'gte', '59'), value('id', 'lt', '60')), [59]);
      same(await ids(value('id', 'lte', '2')), [1, 2]);
      same(await ids(value('name', 'eq', 'n5')), [5]);
      same(await ids(value('name', 'eq', 'N5')), [], 'capitals count, whatever the collation says');
      same((await ids(value('name', 'ne', 'n5'))).length, 56, 'NULL is neither equal nor not');
      same(await ids(value('amount', 'eq', '11.5')), [12]);
      same(await ids(value('amount', 'gte', '58.5')), [59, 60]);
      same(await ids(value('at', 'eq', '2024-05-01 12:59:00')), [60]);
      same((await ids(value('at', 'lt', '2024-05-01 12:05:00'))).length, 4);
      same((await ids(value('ok', 'eq', 'true'))).length, 30);
      same((await ids({ column: 'data', op: 'null', is: false })).length, 40);
      same(await ids({ column: 'name', op: 'null', is: true }), [8, 28, 48]);
      same(await ids({ column: 'id', op: 'in', values: ['3', '99', '1'].map(text) }), [1, 3]);
      same(await ids({ column: 'name', op: 'in', values: ["n3'; --", 'n4', '"', '\\'].map(text) }), [4]);
      same(await ids({ column: 'id', op: 'in', values: [] }), []);
      same(await ids({ column: 'name', op: 'like', parts: ['n5', ''] }), [5, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59]);
      same(await ids({ column: 'name', op: 'like', parts: ['N5', ''] }), [], 'capitals count');
      same(await ids({ column: 'name', op: 'like', parts: ['n', '_'] }), [], '_ and % are no wildcards');
      same(await ids({ column: 'name', op: 'like', parts: ['%'] }), []);
      for (const hostile of ["' or 1=1 --", '"; drop table things', '\\', '\u0000', '\u{1f600}', "x'"])
        same(await ids(value('name', 'eq', hostile)), [], JSON.stringify(hostile));
      same(await rows.count([value('ok', 'eq', 'true')], 'exact', o), 30);
      assert.equal(typeof (await rows.count([], 'estimated', o)), 'number');
      const got = await rows.get([text('17')], { columns: ['name', 'id'], where: [] }, o);
      same(got?.cells, ['n17', '17']);
      same(await rows.get([text('17')], { columns: ['id'], where: [value('ok', 'eq', 'false')] }, o), undefined);
      same(await rows.get([text('99999999999')], { columns: ['id'], where: [] }, o), undefined);
      same((await page({ limit: 2 })).length, 2);
    },
  },
  {
    name: 'pages in any order lose and repeat no row that was there all the time, though rows come, go and tie',
    run: async (lab) => {
      const { rows, database, kit } = await opened(lab);
      const all = kit.rows.map(([id]) => id!);
      const by = (...order: readonly (readonly [string, boolean])[]): readonly RowOrder[] =>
        order.map(([column, descending]) => ({ column, descending }));
      const orders = [
        by(),
        by(['id', true]),
        by(['grp', false]),
        by(['grp', true]),
        by(['ok', false], ['amount', true]),
        by(['amount', false], ['at', true]),
        by(['name', false]),
        by(['name', true], ['grp', false]),
      ];
      for (const order of orders) {
        const seen = await walk(rows, lab, order, 7);
        same([...seen].sort(), [...all].sort(), JSON.stringify(order));
        const whole = await walk(rows, lab, order, 200);
        same(seen, whole, 'pages are pieces of the whole');
        const first = order[0];
        if (first === undefined || !['grp', 'amount'].includes(first.column)) continue;
        const at = kit.columns.findIndex((c) => c.name === first.column);
        const nulls = seen.map((id) => kit.rows[Number(id) - 1]![at] === null);
        const places = first.descending ? nulls : nulls.toReversed();
        assert.ok(!places.slice(places.indexOf(false)).includes(true), 'NULL is greater than every value');
      }
      let next = 1000;
      const seen = await walk(rows, lab, by(['grp', false]), 5, async (n) => {
        await database.edit('things', {
          insert: [0, 1, 2].map((grp) => ({ id: String(next++), name: null, grp: String(grp), ok: 'true' })),
        });
        if (n === 2) await database.edit('things', { delete: { id: '60' } });
      });
      const kept = seen.filter((id) => Number(id) < 60);
      same([...kept].sort(), all.slice(0, 59).sort());
      same(new Set(seen).size, seen.length);
    },
  },
  {
    name: 'single rows are written under the guard of what was read, with every digit, and the database’s refusals are told apart',
    run: async (lab) => {
      const { rows, o, write, database } = await opened(lab);
      const kept = (column: string, v: string): string =>
        column === 'at' ? (lab.harness.keeps?.({ kind: 'timestamp', fraction: 6 }, v) ?? v) : v;
      const exact = cells(
        '9223372036854775807',
        '\u{1f600} "q" \\ \' \u00e4',
        '-2147483648',
        decimalOf(lab).value,
        kept('at', moment),
        'true',
        '00ff7f',
      );
      const [made] = await write({ op: 'insert', columns: names, cells: exact });
      assert.ok(made?.status === 'done' && made.row, JSON.stringify(made));
      same(made.row.cells, exact);
      assert.match(made.row.tag, /^[0-9a-f]{32}$/);
      const key = [exact[0]!];
      const found = (await rows.get(key, { columns: names, where: [] }, o))!;
      same(found, made.row, 'read as it was written');

      const update = (
        columns: readonly string[],
        values: Row,
        g: Partial<Extract<RowWrite, { op: 'update' }>['guard']>,
      ) => write({ op: 'update', key, columns, cells: values, guard: { ...guard, ...g } });
      const [changed] = await update(['name', 'grp'], cells('', null), { tag: found.tag });
      assert.ok(changed?.status === 'done' && changed.row);
      same(changed.row.cells.slice(0, 3), [exact[0], '', null], 'an empty text is no NULL');
      assert.notEqual(changed.row.tag, found.tag);
      const [stale] = await update(['grp'], cells('5'), { tag: found.tag });
      assert.ok(stale?.status === 'stale');
      same(stale.found, changed.row);
      await database.edit('things', { update: { data: null }, where: { id: exact[0]! } });
      const [moved] = await update(['grp'], cells('5'), { tag: changed.row.tag });
      same(moved?.status, 'stale', 'a cell that is not written counts, too');
      const off: RowCondition = { column: 'ok', op: 'eq', value: text('false') };
      same((await update(['grp'], cells('5'), { visible: [off] }))[0]?.status, 'missing');
      same((await update(['grp'], cells('5'), { allowed: [off] }))[0]?.status, 'stale');
      same((await update(['grp'], cells('5'), {}))[0]?.status, 'done');
      same((await rows.get(key, { columns: ['grp'], where: [] }, o))?.cells, ['5']);

      const refusal = async (...writes: readonly RowWrite[]) =>
        (await write(...writes)).find((x) => x.status === 'refused');
      same((await refusal({ op: 'insert', columns: ['id', 'ok'], cells: cells('1', 'true') }))?.kind, 'unique');
      same(
        (await refusal({ op: 'insert', columns: ['id', 'name', 'ok'], cells: cells('500', 'n1', 'true') }))?.kind,
        'unique',
      );
      same((await refusal({ op: 'insert', columns: ['id'], cells: cells('500') }))?.kind, 'not_null');

      const batch = await write(
        { op: 'update', key: [text('1')], columns: ['grp'], cells: cells('7'), guard },
        { op: 'delete', key: [text('2')], guard },
        { op: 'delete', key: [text('3000')], guard },
        { op: 'delete', key: [text('3')], guard },
      );
      same(
        batch.map((x) => x.status),
        ['undone', 'undone', 'missing', 'undone'],
      );
      const still = await rows.list({ columns: ['id', 'grp'], where: [], order: [], limit: 3 }, o);
      same(still, [
        ['1', '0'],
        ['2', '1'],
        ['3', '2'],
      ]);
      const each = await rows.write!(
        [
          { op: 'update', key: [text('1')], columns: ['grp'], cells: cells('7'), guard },
          { op: 'delete', key: [text('3000')], guard },
          { op: 'delete', key: [text('3')], guard },
        ],
        { columns: ['grp'], atomic: false },
        o,
      );
      same(
        each.map((x) => x.status),
        ['done', 'missing', 'done'],
      );
      same(await rows.count([], 'exact', o), 60);
    },
  },
  {
    name: 'of many who write one row under one guard a single one succeeds',
    run: async (lab) => {
      const { rows, o } = await opened(lab);
      const { tag } = (await rows.get([text('5')], { columns: [], where: [] }, o))!;
      const outcomes = await Promise.all(
        Array.from({ length: 6 }, (_, i) =>
          rows.write!(
            [
              {
                op: 'update',
                key: [text('5')],
                columns: ['grp'],
                cells: cells(String(i + 10)),
                guard: { ...guard, tag },
              },
            ],
            { columns: ['grp'], atomic: false },
            o,
          ).then(
            ([x]) => x!.status,
            (error: unknown) => (error as { code?: string }).code,
          ),
        ),
      );
      same(outcomes.filter((x) => x === 'done').length, 1, outcomes.join());
      for (const x of outcomes) assert.ok(['done', 'stale', 'CONTENTION'].includes(x!), x);
    },
  },
];
