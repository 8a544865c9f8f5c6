import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { project } from './project.ts';

const page = readFileSync(join(dirname(import.meta.filename), '../../docs/guide/transform.md'), 'utf8');
const blocks = (language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'gm'))].map((m) => m[1]!);

test('the example of the guide works as it is written', async () => {
  await using p = await project('sqlite', 'sqlite');
  const [source, target] = blocks('sql');
  assert.match(source!, /^-- source/);
  assert.match(target!, /^-- target/);
  await p.source.run(source!);
  await p.target.run(target!);
  p.pairs(blocks('yaml')[0]!, 'lockstep.yaml');
  const synced = await p.run('sync', 'accounts', '--yes');
  assert.equal(synced.code, 25, synced.stderr + synced.stdout);
  const listed = await p.run('quarantine', 'list', 'accounts');
  const plain = (text: string): string => text.replaceAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g, 'TIME').replaceAll(/ +/g, ' ');
  const shown = plain(synced.stdout + listed.stdout);
  const promised = blocks('console')[0]!
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('$'));
  assert.equal(promised.length, 6);
  for (const line of promised) assert.ok(shown.includes(plain(line).trim()), `${line}\nis not in\n${shown}`);
  assert.deepEqual(
    await p.target.rows('select external_id, state, price, owner, country, note from account order by 1'),
    [
      [1n, 'active', 19.99, 'Ann Lee', 'Germany', 'first'],
      [2n, 'dunning', 5n, 'Bob Ray', 'France', '-'],
      [3n, 'active', 7n, 'Cy Day', 'Germany', '-'],
    ],
  );
  const again = await p.json('diff', 'accounts');
  assert.deepEqual([again.code, again.json.differences], [25, []]);
});
