/** `npm run docs`: writes the reference pages that are made from the code. A test checks that they are fresh. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commandTable, laterCommands } from '../src/cli/command-table.ts';
import { commonFlags, type FlagName, type FlagSpec, flagSpecs } from '../src/cli/flags.ts';
import { configJsonSchema, type JsonSchema } from '../src/config/json-schema.ts';
import { errorCodes } from '../src/model/errors.ts';
import { catalogue, type MetricSpec } from '../src/telemetry/catalogue.ts';
import { runtimeMetrics } from '../src/telemetry/process-metrics.ts';

const note = '<!-- Made by `npm run docs`; do not edit. -->\n';
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');
const flagRow = (name: FlagName): string => {
  const { syntax, about, repeat }: FlagSpec = flagSpecs[name];
  return `| \`${syntax.replaceAll('|', '\\|')}\` | ${cell(about)}${repeat ? '; may be repeated' : ''} |`;
};

const cliPage = (): string => {
  const commands = commandTable.map((c) => {
    const flags = [...new Set(c.flags)].filter((f) => !commonFlags.includes(f));
    const table = flags.length ? `\n| flag | meaning |\n|---|---|\n${flags.map(flagRow).join('\n')}\n` : '';
    return `## lockstep ${c.name}\n\n\`lockstep ${c.name}${c.args === '' ? '' : ` ${c.args}`}\`\n\n${c.about} Writes: ${c.writes}.\n${table}\n\`\`\`console\n${c.examples.map((e) => `$ ${e}`).join('\n')}\n\`\`\`\n`;
  });
  return `# Command line\n\n${note}\nEvery command also has these flags:\n\n| flag | meaning |\n|---|---|\n${commonFlags.map(flagRow).join('\n')}\n\n${commands.join('\n')}\nNot there yet: ${laterCommands.map((c) => `\`${c}\``).join(', ')}.\n`;
};

const exits: readonly (readonly [number, string])[] = [
  [0, 'complete; in agreement, or everything applied and verified'],
  [1, 'failed unexpectedly (also any crash, so 1 never means "differs")'],
  [
    2,
    'finished; differences were found (`diff`), the plan has changes (`plan`), or rows were withheld, rejected or skipped as moved (`apply`, `sync`)',
  ],
  [20, 'wrong usage or configuration'],
  [21, 'cannot connect, authenticate or establish TLS'],
  [22, 'a guard stopped it'],
  [23, 'plan stale, expired, edited or already used'],
  [24, 'another run holds the lock'],
  [25, 'finished, no confirmed difference, but something was not compared or never settled'],
  [26, 'finished; conflicts wait for a person (`lockstep conflicts list`)'],
  [27, 'schema drift'],
  [29, 'the audit log is not what was written (`audit verify`)'],
  [130, 'stopped by Ctrl-C'],
  [141, 'the reader of the output went away (`| head`)'],
];

const exitPage = (): string =>
  `# Exit codes\n\n${note}\nWhen several hold: errors, then 26, 2, 25, 0.\n\n| code | meaning |\n|---|---|\n${exits.map(([n, text]) => `| ${n} | ${text} |`).join('\n')}\n\n## Error codes\n\nEach message on stderr ends with its code in brackets.\n\n| code | exit | may a repeat help? |\n|---|---|---|\n${Object.entries(
    errorCodes,
  )
    .map(
      ([code, { exit, retry }]) =>
        `| \`${code}\` | ${exit} | ${retry === 'now' ? 'yes' : retry === 'after_fix' ? 'after a fix' : 'no'} |`,
    )
    .join('\n')}\n`;

const typeOf = (s: JsonSchema): string => {
  if (s.anyOf) return [...new Set(s.anyOf.map(typeOf))].join(' or ');
  if (s.enum) return s.enum.map((v) => `\`${String(v)}\``).join(', ');
  if (s.const !== undefined) return `\`${String(s.const)}\``;
  if (s.type === 'string' && s.pattern?.includes('(env|file)')) return 'reference';
  if (s.type === 'string' && s.pattern?.includes('ms|s|m|h|d')) return 'duration';
  if (s.type === 'string' && s.pattern?.includes('%')) return 'percentage';
  if (s.type === 'array') return s.items ? `list of ${typeOf(s.items)}` : 'list';
  if (s.type === 'object') return 'section';
  if (s.not) return 'function';
  return s.type ?? 'anything';
};

const settings = (schema: JsonSchema, path: string): readonly string[] => {
  const rows: string[] = [];
  for (const variant of schema.anyOf ?? [schema]) {
    for (const [name, s] of Object.entries(variant.properties ?? {})) {
      if (name === '$schema') continue;
      const at = path === '' ? name : `${path}.${name}`;
      const must = variant.required?.includes(name) ? ' (required)' : '';
      rows.push(`| \`${at}\`${must} | ${typeOf(s)} | ${cell(s.description ?? '')} |`, ...settings(s, at));
    }
    if (typeof variant.additionalProperties === 'object')
      rows.push(...settings(variant.additionalProperties, `${path}.<name>`));
    if (variant.items) rows.push(...settings(variant.items, `${path}[]`));
  }
  return rows;
};

const configPage = (): string =>
  `# lockstep.yaml\n\n${note}\nThe JSON Schema for editors: \`schema/lockstep.config.draft07.json\`, or \`lockstep schema\`. A reference (\`"\${env:NAME}"\`, \`"\${file:path}"\`) may stand in any text.\n\n| setting | value | meaning |\n|---|---|---|\n${settings(
    configJsonSchema(),
    '',
  )
    .map((r) =>
      r
        .replaceAll('<name>', '&lt;name&gt;')
        .replaceAll('`endpoints.&lt;name&gt;', '`endpoints.<name>')
        .replaceAll('`syncs.&lt;name&gt;', '`syncs.<name>'),
    )
    .join('\n')}\n`;

const metricsPage = (): string => {
  const rows = (of: MetricSpec['of']): string =>
    Object.entries(catalogue as Readonly<Record<string, MetricSpec>>)
      .filter(([, m]) => m.of === of)
      .map(
        ([name, m]) => `| \`${name}\` | ${m.type} | ${m.labels.map((l) => `\`${l}\``).join(', ')} | ${cell(m.help)} |`,
      )
      .join('\n');
  const head = '| metric | type | labels | meaning |\n|---|---|---|---|\n';
  const runtime = runtimeMetrics().map((m) => `| \`${m.name}\` | ${m.type} | ${cell(m.help)} |`);
  return `# Metrics\n\n${note}\n\`GET /metrics\` gives them in Prometheus’ text format. Labels name syncs, pairs (tables), endpoints and the like; never a key or a value of a row. Times are seconds, shares are 0 to 1. How to use them: [monitoring](../guide/monitoring.md).\n\n## Of the installation\n\nFrom the control store: every server says the same, so ask one, or take \`max\` over instances.\n\n${head}${rows('installation')}\n\n## Of the server that is asked\n\n${head}${rows('process')}\n\n## Of its runtime\n\n| metric | type | meaning |\n|---|---|---|\n${runtime.join('\n')}\n`;
};

/** File below docs/reference -> text. */
export const referencePages = (): Readonly<Record<string, string>> => ({
  'cli.md': cliPage(),
  'config.md': configPage(),
  'exit-codes.md': exitPage(),
  'metrics.md': metricsPage(),
});

if (import.meta.main) {
  const dir = join(dirname(import.meta.filename), '../docs/reference');
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of Object.entries(referencePages())) writeFileSync(join(dir, name), text);
  const { version } = JSON.parse(readFileSync(join(dir, '../../package.json'), 'utf8')) as { version: string };
  const { openapiText } = await import('./openapi.ts');
  writeFileSync(join(dir, 'openapi.json'), await openapiText(version));
}
