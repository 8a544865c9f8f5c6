import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';

export const root = join(import.meta.dirname, '../..');
export const textOf = (file: string): string => readFileSync(join(root, file), 'utf8');

/** A file of YAML as compose reads it: `<<` merges. */
// biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
export const yamlOf = (file: string): any => parse(textOf(file), { merge: true });

/** The objects of a file with several. */
// biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
export const objectsOf = (file: string): any[] => parseAllDocuments(textOf(file)).map((document) => document.toJS());

export interface Instruction {
  readonly name: string;
  readonly text: string;
  /** Of the stage that it is in; undefined before the first. */
  readonly stage: string | undefined;
}

/** The instructions of the Dockerfile, each on one line, without comments. */
export const dockerfile = (): readonly Instruction[] => {
  const lines = textOf('Dockerfile')
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  let stage: string | undefined;
  return lines.map((line) => {
    const [, name = '', text = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') stage = / AS (\w+)$/.exec(text)?.[1];
    return { name, text, stage };
  });
};

/** The last one of a name in a stage, whose text is a JSON list. */
export const listOf = (name: string, stage = 'runtime'): readonly string[] => {
  const found = dockerfile().findLast((i) => i.name === name && i.stage === stage);
  if (found === undefined) throw new Error(`the Dockerfile has no ${name} in ${stage}`);
  return JSON.parse(found.text.slice(found.text.indexOf('['))) as string[];
};

export const composeFiles = globSync(['compose.yaml', '.devcontainer/compose.yaml', 'examples/*/compose.yaml'], {
  cwd: root,
});
