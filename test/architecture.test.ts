import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

const root = join(dirname(import.meta.filename), '..');
const sources = globSync('src/**/*.ts', { cwd: root }).filter((f) => !f.endsWith('.test.ts'));

interface Import {
  readonly from: string;
  readonly to: string;
}

/** Relative imports of every source file, static and dynamic, as paths from the root. */
const imports: readonly Import[] = sources.flatMap((from) => {
  const text = readFileSync(join(root, from), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']*)'/g)].map((m) => ({
    from,
    to: normalize(join(dirname(from), m[1]!)),
  }));
});

/** The room of a file: its first folder under src, or the file itself at the top. */
const room = (file: string): string => file.split('/')[1]!;

/** Who may import whom (besides itself). */
const allowed: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  model: ['lib'],
  diff: ['model', 'lib'],
  transform: ['model', 'lib'],
  resolve: ['model', 'lib'],
  plan: ['resolve', 'model', 'lib'],
  apply: ['plan', 'model', 'lib'],
  copy: ['model', 'lib'],
  engines: ['model', 'lib'],
  store: ['model', 'lib'],
  config: ['model', 'lib'],
  work: ['transform', 'diff', 'resolve', 'plan', 'apply', 'copy', 'store', 'model', 'lib'],
  access: ['model', 'lib'],
  telemetry: ['model', 'lib'],
  cache: ['model', 'lib'],
  backup: ['copy', 'diff', 'model', 'lib'],
  service: ['work', 'telemetry', 'backup', 'config', 'copy', 'diff', 'model', 'lib'],
  records: ['access', 'cache', 'config', 'service', 'model', 'lib'],
  alerts: ['telemetry', 'config', 'service', 'model', 'lib'],
  http: [
    'service',
    'records',
    'alerts',
    'access',
    'telemetry',
    'cache',
    'backup',
    'work',
    'config',
    'copy',
    'diff',
    'model',
    'lib',
  ],
  cli: [
    'http',
    'service',
    'records',
    'alerts',
    'access',
    'telemetry',
    'backup',
    'work',
    'config',
    'copy',
    'diff',
    'model',
    'lib',
  ],
  demo: ['cli', 'work', 'config', 'store', 'model', 'lib'],
  'main.ts': ['cli', 'service', 'work', 'config', 'engines', 'store', 'model', 'lib', 'demo'],
};

test('every room imports only what it may', () => {
  assert.ok(imports.length > 100, `saw only ${imports.length} imports: the test looks at nothing`);
  const wrong = imports.filter(
    ({ from, to }) => room(from) !== room(to) && !(allowed[room(from)] ?? []).includes(room(to)),
  );
  assert.deepEqual(wrong, []);
});

test('engines know the shared SQL folder and nothing of each other', () => {
  const engine = (file: string): string => file.split('/')[2]!;
  const inside = imports.filter(({ from, to }) => room(from) === 'engines' && room(to) === 'engines');
  assert.ok(inside.length > 10, `saw only ${inside.length} imports inside engines`);
  const wrong = inside.filter(
    ({ from, to }) => engine(from) !== engine(to) && engine(to) !== 'sql' && engine(from) !== 'registry.ts',
  );
  assert.deepEqual(wrong, []);
});

test('only main and the registry name concrete engines', () => {
  const wrong = imports.filter(
    ({ from, to }) => room(from) !== 'engines' && room(to) === 'engines' && to !== 'src/engines/registry.ts',
  );
  assert.deepEqual(wrong, []);
  const registry = imports.filter(({ from }) => from === 'src/engines/registry.ts');
  assert.ok(registry.length >= 2, 'the registry imports no engine');
});

test('imports form no cycle', () => {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    assert.equal(at, -1, `cycle: ${[...path.slice(Math.max(0, at)), file].join(' -> ')}`);
    if (done.has(file)) return;
    path.push(file);
    for (const to of next.get(file) ?? []) visit(to);
    path.pop();
    done.add(file);
  };
  for (const file of next.keys()) visit(file);
  assert.ok(done.size > 50, `walked only ${done.size} files`);
});

test('no source file is a barrel, and none is longer than 500 lines', () => {
  for (const file of globSync(['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'], { cwd: root })) {
    const text = readFileSync(join(root, file), 'utf8');
    assert.ok(!/^export\s+(\*|\{[^}]*\})\s+from\s/m.test(text), `${file} re-exports`);
    assert.ok(text.split('\n').length <= 500, `${file} has more than 500 lines`);
  }
});

test('time and randomness come in as arguments in the core', () => {
  const core = sources.filter((f) => /^src\/(model|diff|transform|resolve|plan|apply)\//.test(f));
  assert.ok(core.length > 20, `saw only ${core.length} files`);
  for (const file of core) {
    const text = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    const found = text.match(/\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|performance\.now)\b/);
    assert.equal(found?.[0], undefined, `${file} uses ${found?.[0]}`);
  }
});

test('what goes out by HTTP goes through the guard of addresses', () => {
  const judged = ['src/lib/net/guarded-request.ts', 'src/engines/http/transport.ts'];
  for (const file of sources.filter((f) => !judged.includes(f))) {
    const text = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    const found =
      text.match(
        /^import (?!type ).*\b(?:request|get|Agent|connect|fetch)\b.*from '(?:node:https?|node:http2|undici)'/m,
      ) ??
      // One of its own is another thing.
      (/\bfetch = /.test(text) ? null : text.match(/(?:await|return|globalThis\.) ?fetch\(/));
    assert.equal(found?.[0], undefined, `${file}: ${found?.[0]}`);
  }
  for (const file of judged) assert.match(readFileSync(join(root, file), 'utf8'), /guardedLookup\(/, file);
});
