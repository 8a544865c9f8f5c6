/** One flag, as help, completion and the reference page show it. */
export interface FlagSpec {
  readonly syntax: string;
  readonly about: string;
  /** May be given several times. */
  readonly repeat?: true;
  readonly choices?: readonly string[];
}

const modeChoices = ['mirror', 'upsert', 'insert_only', 'update_only'] as const;

export const flagSpecs = {
  table: {
    syntax: '--table <table[=table]>',
    about: 'only this table, and its partner where the names differ',
    repeat: true,
  },
  'exclude-table': { syntax: '--exclude-table <table>', about: 'leave this table out on purpose', repeat: true },
  key: { syntax: '--key <a,b>', about: 'columns that identify a row on both sides' },
  columns: { syntax: '--columns <a,b>', about: 'compare only these columns (and the key)', repeat: true },
  exclude: { syntax: '--exclude <a,b>', about: 'leave these columns out on purpose', repeat: true },
  map: { syntax: '--map <source_column=target_column>', about: 'columns whose names differ', repeat: true },
  where: { syntax: '--where <condition>', about: 'only rows that meet this SQL condition, on both sides' },
  'where-source': { syntax: '--where-source <condition>', about: 'the condition in the SQL of the source' },
  'where-target': { syntax: '--where-target <condition>', about: 'the condition in the SQL of the target' },
  sample: {
    syntax: '--sample <5%>',
    about: 'a pilot: only this share of the keys, the same ones each time; more of them keeps the first (default: all)',
  },
  tolerance: {
    syntax: '--tolerance <column=0.01>',
    about: 'differences that do not count: a number, fraction:3, ignore_case, trim, null_equals_empty',
    repeat: true,
  },
  type: {
    syntax: '--type <table.column=type>',
    about: 'the type that a column gets in the target, e.g. orders.paid=bool, people.born=date, notes.text=text(200)',
    repeat: true,
  },
  mode: {
    syntax: '--mode <mode>',
    about: 'what may be written: mirror (default), upsert, insert_only, update_only',
    choices: modeChoices,
  },
  'allow-deletes': { syntax: '--allow-deletes <n>', about: 'allow up to n deletes (default 0)' },
  'max-changes': { syntax: '--max-changes <n>', about: 'allow up to n changes (default 500 and 1 % of the rows)' },
  'empty-source': {
    syntax: '--empty-source <stop|keep>',
    about: 'when a source table has no rows: stop (default), or go on and delete nothing there',
    choices: ['stop', 'keep'],
  },
  host: { syntax: '--host <address>', about: 'address to listen on (default 127.0.0.1)' },
  port: { syntax: '--port <n>', about: 'port to listen on (default 8000; 0: any free one)' },
  workers: { syntax: '--workers <n>', about: 'worker processes to start beside it (default 1; 0: none)' },
  concurrency: { syntax: '--concurrency <n>', about: 'runs to carry out at once (default 2)' },
  format: {
    syntax: '--format <format>',
    about: 'table, json, jsonl, csv, html, sql or markdown',
    choices: ['table', 'json', 'jsonl', 'csv', 'html', 'sql', 'markdown'],
  },
  limit: {
    syntax: '--limit <n|all>',
    about: 'how many differences, rows or entries are shown; counts are always complete',
  },
  settle: {
    syntax: '--settle <duration>',
    about: 'confirm a difference by reading again this much later (default 1s)',
  },
  'rows-per-second': {
    syntax: '--rows-per-second <n>',
    about: 'read at most this many rows per second from each side',
  },
  'statement-timeout': { syntax: '--statement-timeout <duration>', about: 'no statement may take longer' },
  'batch-size': { syntax: '--batch-size <n>', about: 'rows per transaction (default 5000)' },
  atomic: { syntax: '--atomic <batch|run>', about: 'run: one transaction, all or nothing', choices: ['batch', 'run'] },
  incremental: {
    syntax: '--incremental',
    about:
      'compare what has changed since the last comparison of this sync (default where the config says incremental)',
  },
  full: { syntax: '--full', about: 'compare all rows this time, although the config says incremental' },
  explain: { syntax: '--explain', about: 'show strategy, queries and timing' },
  save: { syntax: '--save', about: 'keep this comparison as a run' },
  resume: { syntax: '--resume <run>', about: 'go on with an interrupted run' },
  out: { syntax: '--out <file>', about: 'write to this file' },
  force: { syntax: '--force', about: 'overwrite files that are there' },
  once: { syntax: '--once', about: 'run the whole loop, then exit' },
  role: {
    syntax: '--role <role>',
    about: 'what the token may do: viewer, operator, approver or admin',
    choices: ['viewer', 'operator', 'approver', 'admin'],
  },
  scope: { syntax: '--scope <scope>', about: 'one thing that the token may do, e.g. runs:read', repeat: true },
  sync: {
    syntax: '--sync <sync>',
    about: 'of this sync only; of a token: it is good for this sync only',
    repeat: true,
  },
  entity: { syntax: '--entity <entity>', about: 'the token is good for this entity of records only', repeat: true },
  claim: {
    syntax: '--claim <name=value>',
    about: 'what row filters know of the holder, e.g. tenant=42',
    repeat: true,
  },
  for: { syntax: '--for <duration>', about: 'how long, e.g. 2h' },
  reason: { syntax: '--reason <text>', about: 'why, for whoever looks at it later' },
  expires: {
    syntax: '--expires <duration>',
    about: 'the token is good so long, e.g. 30d (default: it does not expire)',
  },
  checkpoint: {
    syntax: '--checkpoint <file>',
    about: 'ends of the audit log that were kept: written by audit head, or a log of lockstep serve',
  },
  json: { syntax: '--json', about: 'the same as --format json' },
  pin: {
    syntax: '--pin',
    about: 'of a two-way run: the keys that are taken back stay as they are until their conflict is resolved',
  },
  pair: { syntax: '--pair <pair>', about: 'only conflicts of this pair' },
  column: { syntax: '--column <column>', about: 'only conflicts in which this source column is disputed' },
  kind: {
    syntax: '--kind <a,b>',
    about: 'only conflicts of these types, e.g. update_update,update_delete',
    repeat: true,
  },
  state: {
    syntax: '--state <a,b|all>',
    about: 'only conflicts in these states: pending, decided, resolved, ruled, gone (default: pending,decided)',
    repeat: true,
  },
  take: {
    syntax: '--take <side>',
    about: 'whose row counts: source, target, or base (what both last agreed on)',
    choices: ['source', 'target', 'base'],
  },
  set: { syntax: '--set <column=value>', about: 'this value, by hand, in place of the taken one', repeat: true },
  'set-null': { syntax: '--set-null <column>', about: 'NULL, by hand, in place of the taken value', repeat: true },
  why: { syntax: '--why <text>', about: 'the reason, kept with the decision' },
  later: { syntax: '--later', about: 'only decide: the next run of the sync writes it' },
  now: { syntax: '--now', about: 'decide and write at once (the default)' },
  replace: { syntax: '--replace', about: 'decide anew what is decided and not written yet' },
  yes: { syntax: '--yes', about: 'do not ask for confirmation' },
  'no-input': { syntax: '--no-input', about: 'never ask; fail where an answer is needed' },
  config: { syntax: '--config <file>', about: 'config file (default: lockstep.yaml or lockstep.config.ts here)' },
  control: {
    syntax: '--control <url>',
    about: 'PostgreSQL that keeps runs and plans (default: embedded, under ./.lockstep)',
  },
  quiet: { syntax: '--quiet', about: 'no progress, no remarks; errors only' },
  verbose: { syntax: '--verbose', about: 'more detail in messages' },
  'no-color': { syntax: '--no-color', about: 'no colours' },
} as const satisfies Readonly<Record<string, FlagSpec>>;

export type FlagName = keyof typeof flagSpecs;

/** Flags that every command has. */
export const commonFlags: readonly FlagName[] = [
  'config',
  'control',
  'yes',
  'no-input',
  'quiet',
  'verbose',
  'no-color',
];
/** What is compared, and how. */
export const compareFlags: readonly FlagName[] = [
  'table',
  'exclude-table',
  'key',
  'columns',
  'exclude',
  'map',
  'where',
  'where-source',
  'where-target',
  'sample',
  'tolerance',
  'settle',
  'rows-per-second',
  'statement-timeout',
];
/** Where a configured sync starts from. */
export const startFlags: readonly FlagName[] = ['incremental', 'full'];
/** How a result is shown. */
export const outputFlags: readonly FlagName[] = ['format', 'json', 'limit'];
/** What may be written. */
export const writeFlags: readonly FlagName[] = ['mode', 'allow-deletes', 'max-changes', 'empty-source'];
