/**
 * `npm run build`: compiles src to dist (the npm package is plain JavaScript) and copies what is not TypeScript.
 * LOCKSTEP_BUILD=unchecked leaves the types to `npm run check`: the same files in half the time.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(dirname(import.meta.filename), '..');
const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
const unchecked = process.env['LOCKSTEP_BUILD'] === 'unchecked' ? ['--noCheck'] : [];
execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json', ...unchecked], {
  cwd: root,
  stdio: 'inherit',
});
for (const file of globSync('**/*.{sql,sh,json}', { cwd: join(root, 'src') }))
  cpSync(join(root, 'src', file), join(dist, file));
for (const file of globSync('**/*.test.{js,d.ts}', { cwd: dist })) rmSync(join(dist, file));
const main = join(dist, 'main.js');
if (!existsSync(main)) throw new Error('dist/main.js was not built');
const text = readFileSync(main, 'utf8');
if (!text.startsWith('#!')) writeFileSync(main, `#!/usr/bin/env node\n${text}`);
chmodSync(main, 0o755);
