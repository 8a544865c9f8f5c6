import assert from 'node:assert/strict';
import type { Reader, Unable } from '../../../src/model/reader.ts';
import type { Row, Text } from '../../../src/model/row.ts';
import type { SelectedColumn, Selection } from '../../../src/model/selected.ts';
import type { KitTable } from '../harness.ts';
import { type Case, type Lab, same, scan, withTable } from '../lab.ts';

const at = (minute: number): string => `2024-05-01 12:${String(minute).padStart(2, '0')}:00`;

/** Rows 1 to 40 with a number and a time that grow with the key; the fifth has neither. */
const kit: KitTable = {
  name: 'changing',
  columns: [
    { name: 'id', type: { kind: 'int', bits: 64 } },
    { name: 'v', type: { kind: 'text' }, nullable: true },
    { name: 'n', type: { kind: 'int', bits: 64 }, nullable: true },
    { name: 'moment', type: { kind: 'timestamp', fraction: 6 }, nullable: true },
  ],
  key: ['id'],
  rows: Array.from({ length: 40 }, (_, i) => [
    String(i + 1),
    `v${i + 1}`,
    i === 4 ? null : String(100 + i),
    i === 4 ? null : at(i),
  ]),
};

const read = async (batches: AsyncIterable<readonly Row[]> | Unable): Promise<readonly string[]> => {
  assert.ok(!('unable' in batches), 'unable' in batches ? batches.unable : '');
  const keys: string[] = [];
  for await (const rows of batches) for (const row of rows) keys.push(row.join());
  return keys.sort((a, b) => Number(a) - Number(b));
};

const opened = async (lab: Lab) => {
  const found = await withTable(lab, kit);
  const keys: Selection = { ...found.selection, columns: found.selection.columns.slice(0, 1) };
  const column = (name: string): SelectedColumn => found.selection.columns.find((c) => c.name === name)!;
  const by = (reader: Reader, name: string, from: string): Promise<readonly string[]> =>
    read(reader.changes!.columns!.since(keys, column(name), from as Text, { signal: lab.signal }));
  const latest = async (reader: Reader, name: string) =>
    (await reader.changes!.columns!.latest(keys.table, column(name), { signal: lab.signal })).value;
  return { ...found, keys, by, latest };
};

export const changeCases: readonly Case[] = [
  {
    name: 'changed rows by a column: from a value on, with NULL, in the state of the snapshot; the greatest value, too',
    run: async (lab) => {
      const { database, endpoint, reader, selection, by, latest } = await opened(lab);
      assert.ok(reader.changes?.columns);
      assert.equal(reader.changes.version !== undefined, lab.harness.versions === true);
      const before = await scan(lab, reader, selection);
      same([await latest(reader, 'n'), await latest(reader, 'moment')], ['139', at(39)]);
      same(await by(reader, 'n', '138'), ['5', '39', '40']);
      await database.edit('changing', { update: { v: 'new', n: '500', moment: at(50) }, where: { id: '7' } });
      await database.edit('changing', { insert: [{ id: '41', v: 'late', n: '138', moment: at(38) }] });
      same(await by(reader, 'n', '138'), ['5', '39', '40'], 'the snapshot is as it was');
      same(await latest(reader, 'n'), '139');
      const later = await lab.read(endpoint);
      same(await by(later, 'n', '138'), ['5', '7', '39', '40', '41']);
      same(await latest(later, 'n'), '500');
      same(await latest(later, 'moment'), at(50));
      const shown = await by(later, 'moment', at(38));
      for (const key of ['5', '7', '39', '40', '41']) assert.ok(shown.includes(key), `${key} is shown`);
      assert.ok(shown.length < 20, 'and not everything');
      same(await scan(lab, reader, selection), before, 'the reader goes on working');
    },
  },
  {
    name: 'changed rows by the version of the engine: none that was written since a mark is missing',
    when: (harness) => harness.versions === true,
    run: async (lab) => {
      const { database, endpoint, reader, selection, keys } = await opened(lab);
      const version = reader.changes!.version!;
      const mark = await version.mark(keys.table, { signal: lab.signal });
      assert.equal(typeof mark, 'string');
      await database.edit('changing', { update: { v: 'new' }, where: { id: '7' } });
      await database.edit('changing', { insert: [{ id: '41', v: 'late' }] });
      await database.edit('changing', { delete: { id: '9' } });
      const later = await lab.read(endpoint);
      const shown = await read(await later.changes!.version!.since(keys, mark as string, { signal: lab.signal }));
      assert.ok(shown.includes('7') && shown.includes('41'), shown.join());
      assert.ok(!shown.includes('9'), 'what is gone is not shown');
      assert.equal((await scan(lab, later, selection)).length, 40, 'the reader goes on working');
      const other = await later.changes!.version!.mark(keys.table, { signal: lab.signal });
      assert.notEqual(other, mark);
    },
  },
];
