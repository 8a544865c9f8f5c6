import type { Command } from './context.ts';
import type { FlagName } from './flags.ts';

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
