import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { test } from 'node:test';
import { commandTable } from '../../src/cli/command-table.ts';
import { dockerfile, listOf, root, textOf } from './read.ts';

const all = dockerfile();
const of = (name: string, stage?: string) =>
  all.filter((i) => i.name === name && (stage === undefined || i.stage === stage));

test('every instruction of the Dockerfile can be read, and the stages are those that are built', () => {
  assert.ok(all.length > 25, `saw only ${all.length} instructions`);
  assert.deepEqual(
    all.filter((i) => i.name === ''),
    [],
  );
  assert.deepEqual(
    of('FROM').map((i) => i.stage),
    ['build', 'dependencies', 'test', 'runtime'],
  );
});

test('the image is pinned to the Node that the project is tested with', () => {
  const [arg] = of('ARG');
  const { devDependencies } = JSON.parse(textOf('package.json')) as { devDependencies: Record<string, string> };
  assert.equal(arg?.text, `NODE_IMAGE=node:${devDependencies['node']}-bookworm-slim`);
  for (const { text, stage } of of('FROM')) {
    const image = text.split(' ')[0]!;
    assert.ok(image === '${NODE_IMAGE}' || of('FROM').some((f) => f.stage === image), `${stage} is from ${image}`);
  }
});

test('what is copied is there, and is not kept out of the build', () => {
  const ignored = textOf('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('!'));
  assert.ok(ignored.length > 5);
  let seen = 0;
  for (const { text } of of('COPY')) {
    const [from] = text.split(' ');
    if (from!.startsWith('--from=')) {
      assert.ok(
        of('FROM').some((f) => `--from=${f.stage}` === from),
        text,
      );
      continue;
    }
    for (const source of text.split(' ').slice(0, -1)) {
      seen++;
      assert.ok(existsSync(join(root, source)), `${source} is not there`);
      for (const pattern of ignored) assert.ok(!matchesGlob(source, pattern), `${source} is kept out by ${pattern}`);
    }
  }
  assert.ok(seen >= 12, `saw only ${seen} sources`);
  assert.equal(of('ADD').length, 0);
  // the stage that runs the tests has everything that they read
  for (const file of globSync(['*', 'deploy/**', 'examples/**', '.devcontainer/*', '.ci/*'], { cwd: root }))
    if (!/^(node_modules|dist|coverage)$/.test(file))
      for (const pattern of ignored)
        assert.ok(!matchesGlob(file, pattern) || /\.(tgz|log)$/.test(file), `${file} is kept out by ${pattern}`);
});

test('the image holds what the package holds, and only the dependencies that it runs with', () => {
  const { files, bin } = JSON.parse(textOf('package.json')) as { files: string[]; bin: Record<string, string> };
  const copied = of('COPY', 'runtime').flatMap(({ text }) => text.split(' ').filter((word) => !word.startsWith('--')));
  for (const file of files)
    assert.ok(
      copied.some((word) => word.replace(/^.*\//, '') === file),
      `${file} of the package is not in the image`,
    );
  assert.ok(of('RUN', 'dependencies').some(({ text }) => text.includes('npm ci --omit=dev')));
  assert.ok(
    of('COPY', 'runtime').some(({ text }) => text.includes('--from=dependencies') && /node_modules/.test(text)),
  );
  assert.deepEqual(listOf('ENTRYPOINT'), Object.keys(bin));
  assert.ok(of('RUN', 'runtime').some(({ text }) => text.includes(`/opt/lockstep/${bin['lockstep']} `)));
});

test('it runs as nobody in particular, and its parts agree on the port', () => {
  assert.deepEqual(
    of('USER', 'runtime').map((i) => i.text),
    ['1000:1000'],
  );
  const command = listOf('CMD');
  assert.ok(commandTable.some((c) => c.name === command[0]));
  const port = command[command.indexOf('--port') + 1]!;
  assert.equal(of('EXPOSE', 'runtime')[0]?.text, port);
  assert.ok(listOf('HEALTHCHECK').at(-1)!.includes(`127.0.0.1:${port}/livez`));
});

test('packages of Debian are installed without others, and their lists are not kept', () => {
  const runs = of('RUN').filter(({ text }) => text.includes('apt-get install'));
  assert.equal(runs.length, 1);
  for (const { text } of runs) {
    assert.match(text, /--no-install-recommends/);
    assert.match(text, /rm -rf \/var\/lib\/apt\/lists/);
  }
});

test('units of systemd start commands that exist, and wait longer than these take to end', () => {
  const units = globSync('deploy/*.service', { cwd: root });
  assert.equal(units.length, 2);
  for (const unit of units) {
    const text = readFileSync(join(root, unit), 'utf8');
    const command = /^ExecStart=\/usr\/bin\/env lockstep (\w+)$/m.exec(text)?.[1];
    assert.ok(
      commandTable.some((c) => c.name === command),
      `${unit} starts ${command}`,
    );
    assert.match(text, /^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
    assert.ok(Number(/^TimeoutStopSec=(\d+)s$/m.exec(text)?.[1]) >= 30);
    assert.match(text, /^StartLimitIntervalSec=0$/m);
    assert.match(text, /^User=(?!root)\w+$/m);
    for (const line of text.split('\n'))
      assert.match(line, /^(#.*|\[(Unit|Service|Install)\]|[A-Z][A-Za-z]+=.*|)$/, `${unit}: ${line}`);
  }
});
