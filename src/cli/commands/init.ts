import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { count } from '../../lib/grouped.ts';
import { LockstepError } from '../../model/errors.ts';
import type { NotCompared, Pair } from '../../model/pair.ts';
import { tableLabel } from '../../model/schema.ts';
import { connectBoth } from '../../service/connect.ts';
import { alignAll } from '../../work/compare.ts';
import { type Command, type Context, tell } from '../context.ts';
import { jobOf } from '../job.ts';

/** One side as the config will name it. */
interface InitSide {
  readonly name: string;
  readonly variable: string;
  /** Undefined: it was given as a reference already, and nothing has to be stored. */
  readonly url: string | undefined;
  readonly reference: string;
}

const identifier = (name: string, fallback: string): string => {
  const clean = name.replaceAll(/[^A-Za-z0-9_]+/g, '_').replaceAll(/^_+|_+$/g, '');
  return /^[A-Za-z_]/.test(clean) ? clean : fallback;
};

const sideOf = (text: string, name: string): InitSide => {
  const given = /^\$\{env:([^}]+)\}$/.exec(text)?.[1];
  const variable = given ?? `${name.toUpperCase()}_URL`;
  return { name, variable, url: given === undefined ? text : undefined, reference: `\${env:${variable}}` };
};

/** A plain YAML scalar where that is safe, else a double-quoted one. */
const yamlText = (text: string): string =>
  /^[A-Za-z_][\w.]*$/.test(text) && !/^(y|n|yes|no|on|off|true|false|null)$/i.test(text) ? text : JSON.stringify(text);

const pairLines = (pair: Pair): readonly string[] => {
  const source = tableLabel(pair.source);
  const target = tableLabel(pair.target);
  const key = pair.columns.slice(0, pair.keyWidth);
  const lines = [`      - source: ${yamlText(source)}`];
  lines.push(`        target: ${yamlText(target)}`);
  if (key.length === 0) {
    lines.push(
      '        # No primary or unique NOT NULL key in common: rows are compared as a multiset, and cannot be planned.',
    );
    lines.push('        # key: [id]');
  } else {
    const same = key.every((c) => c.source.name === c.target.name);
    const text = same
      ? `[${key.map((c) => yamlText(c.source.name)).join(', ')}]`
      : `{ ${key.map((c) => `${yamlText(c.source.name)}: ${yamlText(c.target.name)}`).join(', ')} }`;
    lines.push(`        key: ${text}`);
  }
  const columns = pair.notCompared.map((n) => ({ name: n.what.slice(pair.name.length + 1), reason: n.reason }));
  for (const c of columns) lines.push(`        # not compared: ${oneLine(`${c.name}: ${c.reason}`)}`);
  if (columns.length) {
    lines.push(
      `        # exclude: [${columns.map((c) => oneLine(yamlText(c.name))).join(', ')}]   # leave them out on purpose`,
    );
  }
  return lines;
};

const oneLine = (text: string): string => text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');

/** A config in a project that installed us names the schema there; elsewhere a path would lead nowhere. */
const schemaLines = (dir: string): readonly string[] => {
  const path = 'node_modules/lockstep/schema/lockstep.config.draft07.json';
  for (let at = dir, up = './'; ; at = dirname(at), up = up === './' ? '../' : `${up}../`) {
    if (existsSync(join(at, path))) return [`# yaml-language-server: $schema=${up}${path}`];
    if (at === dirname(at)) break;
  }
  return [
    '# An editor completes and checks this file when you run `lockstep schema > lockstep.schema.json` here',
    '# and change the next line to: yaml-language-server: $schema=./lockstep.schema.json',
    '#',
  ];
};

/** Tables without a partner are told by every comparison, until the user has decided. */
const otherTableLines = (left: readonly NotCompared[], paired: boolean): readonly string[] => [
  ...(paired
    ? [
        '    # What is neither in a pair nor in exclude_tables is told as not compared, and is never green (exit code 25).',
        '    # `other_tables: ignore` means that only the pairs count.',
        '    other_tables: report',
      ]
    : []),
  ...(left.length === 0
    ? []
    : [
        '    # On one side only. Leave them out on purpose, or give them a partner in a pair:',
        ...left.map((n) => `    #   ${oneLine(`${n.what}: ${n.reason}`)}`),
        `    # exclude_tables: [${left.map((n) => oneLine(yamlText(n.what))).join(', ')}]`,
      ]),
];

const configText = (
  dir: string,
  source: InitSide,
  target: InitSide,
  pairs: readonly Pair[],
  left: readonly NotCompared[],
): string => {
  const sync = `${source.name}-${target.name}`;
  return `${[
    ...schemaLines(dir),
    '# Written by `lockstep init`. Check it with `lockstep check`, compare with `lockstep diff`.',
    "# The same in TypeScript: lockstep.config.ts with `import { defineConfig } from 'lockstep'`.",
    'version: 1',
    '',
    'endpoints:',
    `  ${source.name}: { url: "${source.reference}" }   # read-only: nothing is ever written here`,
    `  ${target.name}:`,
    `    url: "${target.reference}"`,
    '    # writable: true   # needed before `lockstep plan` and `lockstep apply` may touch it',
    '',
    'syncs:',
    `  ${sync}:`,
    `    source: ${source.name}`,
    `    target: ${target.name}`,
    '    mode: compare   # later: mirror | upsert | insert_only | update_only',
    '    # settle: 1s   # a difference counts only if it is still there this much later',
    '    # guards: { max_changes: 500, max_change_ratio: 1%, max_deletes: 0 }',
    ...(pairs.length
      ? ['    pairs:', ...pairs.flatMap(pairLines)]
      : [
          '    # No table has a partner of the same name; name them:',
          '    # pairs:',
          '    #   - { source: a, target: b }',
        ]),
    ...otherTableLines(left, pairs.length > 0),
    '',
  ].join('\n')}`;
};

/** Names of config and secrets must never clash with what is there: existing files stay as they are. */
const writeNew = (path: string, text: string, force: boolean, mode?: number): void => {
  if (existsSync(path) && !force) {
    throw new LockstepError('USAGE', `${path} is there already, and is not overwritten`, {
      hint: 'Give another name with --out, or --force to replace it.',
    });
  }
  const part = `${path}.part`;
  writeFileSync(part, text, { flag: 'w', ...(mode === undefined ? {} : { mode }) });
  renameSync(part, path);
};

export const init: Command = async (context, args, flags) => {
  const signal = AbortSignal.any([context.stop, context.now]);
  const file = resolve(context.cwd, flags.out ?? 'lockstep.yaml');
  if (!/\.ya?ml$/.test(file)) {
    throw new LockstepError('USAGE', `--out ${flags.out}: lockstep init writes YAML`, {
      hint: 'Give a name that ends in .yaml.',
    });
  }
  if (existsSync(file) && !flags.force) {
    throw new LockstepError('USAGE', `${flags.out ?? 'lockstep.yaml'} is there already, and is not overwritten`, {
      hint: 'Give another name with --out, or --force to replace it.',
    });
  }
  const job = await jobOf(context, args, { ...flags, config: undefined as never }, false);
  await using sides = await connectBoth(context, job, signal);
  const names = [identifier(job.source.name, 'source'), identifier(job.target.name, 'target')] as const;
  const [first, second] = names[0] === names[1] ? (['source', 'target'] as const) : names;
  const source = sideOf(args[0]!, first);
  const target = sideOf(args[1]!, second);
  const { pairs, notCompared } = await alignAll({ source: sides.source, target: sides.target, signal });
  writeNew(file, configText(dirname(file), source, target, pairs, notCompared), flags.force === true);
  await tell(
    context,
    `wrote ${flags.out ?? 'lockstep.yaml'}: ${count(pairs.length, 'pair')}${notCompared.length ? `, ${count(notCompared.length, 'table')} without a partner: see the end of it` : ''}`,
  );
  if (pairs.length === 0 && notCompared.length > 0)
    await tell(context, `  to make the tables of ${source.name} in ${target.name} and fill them: lockstep copy --help`);
  await keepSecrets(context, dirname(file), [source, target]);
  await context.out.write(`next: lockstep check, then lockstep diff ${source.name}-${target.name}\n`);
  return 0;
};

const envLine = (name: string, value: string): string =>
  `${name}=${/^[\w:/.@?&=+-]*$/.test(value) ? value : value.includes("'") ? `"${value}"` : `'${value}'`}\n`;

/** URLs go to `.env` (private, git-ignored), their names to `.env.example`; what is set there already stays. */
const keepSecrets = async (context: Context, dir: string, sides: readonly InitSide[]): Promise<void> => {
  const env = join(dir, '.env');
  const example = join(dir, '.env.example');
  const has = (path: string, name: string): boolean =>
    existsSync(path) && new RegExp(`^\\s*(export\\s+)?${name}\\s*=`, 'm').test(readFileSync(path, 'utf8'));
  const kept: string[] = [];
  for (const side of sides) {
    if (side.url !== undefined) {
      if (has(env, side.variable)) await tell(context, `.env sets ${side.variable} already; left as it is`);
      else {
        appendFileSync(env, separator(env) + envLine(side.variable, side.url), { mode: 0o600 });
        kept.push(side.variable);
      }
    }
    if (!has(example, side.variable)) appendFileSync(example, `${separator(example)}${side.variable}=\n`);
  }
  const ignore = join(dir, '.gitignore');
  const ignored = existsSync(ignore) && /^\/?\.env$/m.test(readFileSync(ignore, 'utf8'));
  if (!ignored && existsSync(env)) appendFileSync(ignore, `${separator(ignore)}.env\n`);
  if (kept.length > 0) await tell(context, `wrote .env: ${kept.join(', ')} (.gitignore keeps it out of git)`);
};

/** A line end that is missing at the end of a file. */
const separator = (path: string): string =>
  existsSync(path) && !/(^|\n)$/.test(readFileSync(path, 'utf8')) ? '\n' : '';
