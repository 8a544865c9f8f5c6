import type { Command } from './context.ts';
import { compareFlags, type FlagName, outputFlags, writeFlags } from './flags.ts';

/** One command as help, completion and the reference page show it. Its code is loaded when it runs. */
export interface CommandSpec {
  readonly name: string;
  /** As commander reads it, e.g. `<run>` or `[what...]`. */
  readonly args: string;
  readonly about: string;
  /** Does it write to users' systems? Said in help. */
  readonly writes: string;
  readonly flags: readonly FlagName[];
  readonly examples: readonly string[];
  load(): Promise<Command>;
}

const what = '[sync | source target] [table[=table]...]';

export const commandTable: readonly CommandSpec[] = [
  {
    name: 'diff',
    args: what,
    about: 'Compare two databases: by two URLs without any configuration, or a configured sync.',
    writes: 'nothing',
    flags: [...compareFlags, ...outputFlags, 'explain', 'save', 'resume'],
    examples: [
      'lockstep diff postgres://ro@old.db/app postgres://ro@new.db/app',
      'lockstep diff sqlite:app.db postgres://localhost/app users orders=sales_orders',
      'lockstep diff subscriptions --format json',
    ],
    load: async () => (await import('./commands/diff.ts')).diff,
  },
  {
    name: 'plan',
    args: what,
    about: 'Say exactly what apply would do.',
    writes: 'nothing (the plan is kept in the control store)',
    flags: [...compareFlags, ...writeFlags, ...outputFlags, 'out'],
    examples: ['lockstep plan subscriptions', 'lockstep plan $OLD $NEW --mode upsert --out fix.plan'],
    load: async () => (await import('./commands/plan.ts')).plan,
  },
  {
    name: 'apply',
    args: '<plan> [target]',
    about: 'Apply a reviewed plan: by its id, or a file written by plan --out. A plan is used once.',
    writes: 'the target',
    flags: [...outputFlags, 'resume'],
    examples: ['lockstep apply p_06dq2k8v4m7x3w', 'lockstep apply fix.plan --yes'],
    load: async () => (await import('./commands/apply.ts')).apply,
  },
  {
    name: 'sync',
    args: what,
    about: 'Compare, plan, apply and verify in one go, under guards.',
    writes: 'the target',
    flags: [...compareFlags, ...writeFlags, ...outputFlags, 'batch-size', 'atomic'],
    examples: ['lockstep sync subscriptions --yes', 'lockstep sync $OLD $NEW customers --allow-deletes 10'],
    load: async () => (await import('./commands/sync.ts')).sync,
  },
  {
    name: 'init',
    args: '<source> <target>',
    about: 'Look at two databases and write a commented lockstep.yaml.',
    writes: 'lockstep.yaml, .env and .env.example here; never over existing ones',
    flags: ['out', 'force'],
    examples: ['lockstep init postgres://ro@old.db/app postgres://rw@new.db/app'],
    load: async () => (await import('./commands/init.ts')).init,
  },
  {
    name: 'check',
    args: '[sync | source target]',
    about: 'Doctor: config, secrets, connections, TLS, privileges, keys, types and indexes.',
    writes: 'nothing',
    flags: ['format', 'json'],
    examples: ['lockstep check', 'lockstep check subscriptions'],
    load: async () => (await import('./commands/check.ts')).check,
  },
  {
    name: 'explain',
    args: '<sync/pair> <key...>',
    about: 'The whole story of one row: both sides now, differences seen, changes planned and written.',
    writes: 'nothing',
    flags: ['format', 'json'],
    examples: ['lockstep explain subscriptions/public.subscriptions 42'],
    load: async () => (await import('./commands/explain.ts')).explain,
  },
  {
    name: 'runs',
    args: '[sync]',
    about: 'List what was run.',
    writes: 'nothing',
    flags: ['format', 'json', 'limit'],
    examples: ['lockstep runs', 'lockstep runs subscriptions --limit 5'],
    load: async () => (await import('./commands/runs.ts')).runs,
  },
  {
    name: 'show',
    args: '<run|plan>',
    about: 'Show a run or a plan again.',
    writes: 'nothing',
    flags: [...outputFlags],
    examples: ['lockstep show r_06dq2k8v4m7x3w'],
    load: async () => (await import('./commands/show.ts')).show,
  },
  {
    name: 'revert',
    args: '<run> [target]',
    about: 'Undo what a run wrote, by a guarded inverse plan: rows changed since by others are kept.',
    writes: 'the target',
    flags: ['allow-deletes', 'max-changes', ...outputFlags],
    examples: ['lockstep revert r_06dq2k8v4m7x3w'],
    load: async () => (await import('./commands/revert.ts')).revert,
  },
  {
    name: 'demo',
    args: '',
    about: 'See it work: two databases with drift, compared, planned, applied, verified and reverted.',
    writes: 'databases of its own',
    flags: ['once'],
    examples: ['lockstep demo --once'],
    load: async () => (await import('./commands/demo.ts')).demo,
  },
  {
    name: 'schema',
    args: '',
    about: 'Print the JSON Schema (draft-07) of lockstep.yaml.',
    writes: 'nothing',
    flags: [],
    examples: ['lockstep schema > lockstep.schema.json'],
    load: async () => (await import('./commands/schema.ts')).schema,
  },
  {
    name: 'completion',
    args: '<shell>',
    about: 'Print a completion script for bash, zsh or fish.',
    writes: 'nothing',
    flags: [],
    examples: ['source <(lockstep completion bash)'],
    load: async () => (await import('./commands/completion.ts')).completion,
  },
  {
    name: 'version',
    args: '',
    about: 'Print the version.',
    writes: 'nothing',
    flags: ['json'],
    examples: ['lockstep version'],
    load: async () => (await import('./commands/version.ts')).version,
  },
];

/** Commands that are announced and not there yet. */
export const laterCommands: readonly string[] = [
  'copy',
  'follow',
  'verify',
  'serve',
  'worker',
  'conflicts',
  'quarantine',
  'backup',
  'audit',
  'token',
  'assess',
];
