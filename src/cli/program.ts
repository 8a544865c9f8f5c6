import { Command as Commander, CommanderError, Option } from 'commander';
import { closest } from '../lib/suggest.ts';
import { LockstepError } from '../model/errors.ts';
import type { CommandSpec } from './command-spec.ts';
import { commandTable, laterCommands } from './command-table.ts';
import type { Flags } from './context.ts';
import { commonFlags, type FlagName, type FlagSpec, flagSpecs } from './flags.ts';

/** What the command line asks for. */
export type Asked =
  | { readonly kind: 'run'; readonly command: CommandSpec; readonly args: readonly string[]; readonly flags: Flags }
  /** Help: printed on stdout when asked for, on stderr with exit 20 when nothing was asked. */
  | { readonly kind: 'help'; readonly text: string; readonly asked: boolean };

const optionOf = (name: FlagName): Option => {
  const spec: FlagSpec = flagSpecs[name];
  const option = new Option(spec.syntax, spec.about);
  if (spec.choices) option.choices([...spec.choices]);
  if (spec.repeat) {
    option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
  }
  return option;
};

/** Arguments as commander declares them. `[sync | source target] …` is one variadic list: the command tells them apart. */
const declareArguments = (command: Commander, spec: CommandSpec): void => {
  if (spec.args === '') return;
  if (spec.args.includes('|') && spec.args.startsWith('[')) {
    command.argument('[what...]');
    return;
  }
  for (const part of spec.args.split(' ')) command.argument(part.replace('|', '-or-').replace('/', '-'));
};

const build = (onRun: (spec: CommandSpec, args: readonly string[], flags: Flags) => void, width: number): Commander => {
  const program = new Commander('lockstep');
  const configure = (c: Commander): void => {
    c.exitOverride();
    c.configureOutput({
      writeOut: () => {},
      writeErr: () => {},
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
    });
    c.helpOption('-h, --help', 'show help');
  };
  configure(program);
  program.description('Compares two databases, plans and applies the changes that make them agree, and proves it.');
  program.version('', '-V, --version', 'show the version');
  program.helpCommand(false);
  for (const spec of commandTable) {
    const command = new Commander(spec.name);
    configure(command);
    command.description(`${spec.about}\nWrites: ${spec.writes}.`);
    command.summary(spec.about.split(/[.](?= |$)/)[0]!);
    if (spec.args !== '') command.usage(`${spec.args} [flags]`);
    declareArguments(command, spec);
    for (const name of new Set([...spec.flags, ...commonFlags])) command.addOption(optionOf(name));
    command.addHelpText('after', `\nExamples:\n${spec.examples.map((e) => `  $ ${e}`).join('\n')}\n`);
    command.action((...given: unknown[]) => {
      // commander hands over the declared arguments, the flags and itself.
      const args = given
        .slice(0, -2)
        .flat()
        .filter((a) => a !== undefined) as string[];
      onRun(spec, args, given.at(-2) as Flags);
    });
    program.addCommand(command);
  }
  program.addHelpText(
    'after',
    '\nExit codes: 0 agrees, 2 differs, 25 incomplete, 20 usage, 21 connection, 22 guard; all of them: docs/reference/exit-codes.md.\n',
  );
  return program;
};

const helpOf = (program: Commander, args: readonly string[]): string => {
  const name = args.find((a) => !a.startsWith('-'));
  const command = program.commands.find((c) => c.name() === name) ?? program;
  let text = '';
  command.configureOutput({
    writeOut: (part: string) => {
      text += part;
    },
    getOutHelpWidth: () => 100,
  });
  command.outputHelp();
  return text;
};

const usage = (message: string, hint: string): LockstepError => new LockstepError('USAGE', message, { hint });

const unknownCommand = (word: string): LockstepError => {
  if (laterCommands.includes(word)) return usage(`\`lockstep ${word}\` is not there yet`, 'Commands: lockstep --help.');
  if (/^[a-z][a-z0-9+.-]*:/i.test(word)) {
    return usage('a command is missing before the URL', 'To compare two databases: lockstep diff SOURCE TARGET.');
  }
  const meant = closest(word, [...commandTable.map((c) => c.name), ...laterCommands]);
  return usage(
    `there is no command \`${word}\``,
    meant === undefined ? 'Commands: lockstep --help.' : `Did you mean \`lockstep ${meant}\`?`,
  );
};

const fromCommander = (error: CommanderError, args: readonly string[]): LockstepError => {
  // The word behind a flag may be its value.
  const command = args.find((a) => commandTable.some((c) => c.name === a));
  const help = command === undefined ? 'lockstep --help' : `lockstep ${command} --help`;
  if (args[0]?.startsWith('-') && command !== undefined) {
    return usage(`${args[0]} stands before the command`, `Flags come behind it: lockstep ${command} …. See ${help}.`);
  }
  const [first, ...rest] = error.message.replace(/^error: /, '').split('\n');
  const meant = /Did you mean (.*?)\?\)?/.exec(rest.join(' '))?.[1];
  return usage(first!, meant === undefined ? `See ${help}.` : `Did you mean ${meant}? See ${help}.`);
};

/** Reads the command line. Throws USAGE. */
export const readCommandLine = (args: readonly string[]): Asked => {
  let asked: Asked | undefined;
  const program = build((command, rest, flags) => {
    asked = { kind: 'run', command, args: rest, flags };
  }, 100);
  const first = args[0];
  if (first === undefined) return { kind: 'help', text: helpOf(program, []), asked: false };
  if (first === 'help') return { kind: 'help', text: helpOf(program, args.slice(1)), asked: true };
  const version = commandTable.find((c) => c.name === 'version')!;
  if (first === '--version' || first === '-V') return { kind: 'run', command: version, args: [], flags: {} };
  if (!first.startsWith('-') && !commandTable.some((c) => c.name === first)) throw unknownCommand(first);
  try {
    program.parse([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.help') {
      return { kind: 'help', text: helpOf(program, args), asked: true };
    }
    throw fromCommander(error, args);
  }
  if (!asked) throw usage('nothing to do', 'See lockstep --help.');
  return asked;
};
