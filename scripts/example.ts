/** `npm run example NAME`: runs the story of examples/NAME. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const examples = join(dirname(import.meta.filename), '../examples');
const name = process.argv[2];
const names = readdirSync(examples).filter((n) => existsSync(join(examples, n, 'run.ts')));
if (name === undefined || !names.includes(name)) {
  console.error(`usage: npm run example NAME, where NAME is one of: ${names.join(', ')}`);
  process.exit(20);
}
await import(join(examples, name, 'run.ts'));
