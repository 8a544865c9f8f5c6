import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The tests beside the sources need no server and no process of their own: starting one for each file takes longer than
 * what most of them do. `npm test -- src/x.test.ts` runs one alone.
 */
const root = join(dirname(import.meta.filename), '..');
for (const file of globSync('src/**/*.test.ts', { cwd: root }).sort()) await import(join(root, file));
