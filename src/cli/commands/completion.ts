import { LockstepError } from '../../model/errors.ts';
import type { CommandSpec } from '../command-spec.ts';
import type { Command } from '../context.ts';
import { commonFlags, type FlagName, type FlagSpec, flagSpecs } from '../flags.ts';

const spec = (name: FlagName): FlagSpec => flagSpecs[name];
const flagsOf = (flags: readonly FlagName[]): readonly FlagName[] => [...new Set([...flags, ...commonFlags])];
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const bash = (table: readonly CommandSpec[]): string => {
  const cases = table.map(
    (c) =>
      `    ${c.name}) words="${flagsOf(c.flags)
        .map((f) => `--${f}`)
        .join(' ')}" ;;`,
  );
  const choices = (Object.keys(flagSpecs) as FlagName[]).flatMap((f) => {
    const values = spec(f).choices;
    return values ? [`    --${f}) COMPREPLY=($(compgen -W "${values.join(' ')}" -- "$word")); return ;;`] : [];
  });
  return `# bash completion for lockstep: source <(lockstep completion bash)
_lockstep() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${table.map((c) => c.name).join(' ')}" -- "$word"))
    return
  fi
  case $before in
${choices.join('\n')}
    --config|--out) COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
    *) words= ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -F _lockstep lockstep
`;
};

const zsh = (table: readonly CommandSpec[]): string => {
  const commands = table.map((c) => `    ${quoted(`${c.name}:${c.about.replaceAll(':', '\\:')}`)}`);
  const cases = table.map((c) => {
    const flags = flagsOf(c.flags).map((f) => {
      const { about, choices, syntax, repeat } = spec(f);
      const text = about.replaceAll(/[[\]]/g, '').replaceAll(':', '\\:');
      const value = syntax.includes('<') ? `:value:${choices ? `(${choices.join(' ')})` : '_files'}` : '';
      return quoted(`${repeat ? '*' : ''}--${f}[${text}]${value}`);
    });
    return `    ${c.name}) _arguments ${flags.join(' ')} '*:file:_files' ;;`;
  });
  return `#compdef lockstep
# zsh completion for lockstep: lockstep completion zsh > "\${fpath[1]}/_lockstep"
_lockstep() {
  local -a commands
  commands=(
${commands.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local name=\${words[2]}
  shift words; (( CURRENT-- ))
  case $name in
${cases.join('\n')}
  esac
}
compdef _lockstep lockstep
`;
};

const fish = (table: readonly CommandSpec[]): string => {
  const lines = table.flatMap((c) => [
    `complete -c lockstep -n __fish_use_subcommand -a ${c.name} -d ${quoted(c.about)}`,
    ...flagsOf(c.flags).map((f) => {
      const { about, choices, syntax } = spec(f);
      const value = choices ? ` -x -a ${quoted(choices.join(' '))}` : syntax.includes('<') ? ' -r' : '';
      return `complete -c lockstep -n '__fish_seen_subcommand_from ${c.name}' -l ${f}${value} -d ${quoted(about)}`;
    }),
  ]);
  return `# fish completion for lockstep: lockstep completion fish > ~/.config/fish/completions/lockstep.fish\n${lines.join('\n')}\n`;
};

/** The command; it completes the commands of this table. */
export const completionOf =
  (table: readonly CommandSpec[]): Command =>
  async (context, [shell]) => {
    const scripts: Readonly<Record<string, typeof bash>> = { bash, zsh, fish };
    const script = scripts[shell ?? ''];
    if (!script) {
      throw new LockstepError('USAGE', `there is no completion for \`${shell}\``, { hint: 'Shells: bash, zsh, fish.' });
    }
    await context.out.write(script(table));
    return 0;
  };
