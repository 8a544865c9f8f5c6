import type { Clock } from '../lib/clock.ts';
import type { Redactor } from '../lib/redact.ts';
import type { Engines } from '../service/connect.ts';
import type { Out } from './io.ts';

/** What a command has of the world outside. Made in `main.ts`; tests make their own. */
export interface Context {
  readonly version: string;
  /** The result. */
  readonly out: Out;
  /** Progress and messages. */
  readonly err: Out;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly clock: Clock;
  readonly redactor: Redactor;
  readonly engines: Engines;
  /** Stop after the unit of work in hand: the first Ctrl-C. */
  readonly stop: AbortSignal;
  /** Stop now: the second Ctrl-C. */
  readonly now: AbortSignal;
  /** May the user be asked? Only when stdin and stderr are terminals and `--no-input` is not given. */
  readonly interactive: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** One line typed by the user. */
  ask(question: string): Promise<string>;
  /** Calls `then` when the process is told to read its configuration again (SIGHUP), until disposed. */
  onHangup(then: () => void): Disposable;
  /** The program and the arguments that start this command line anew. */
  readonly command: readonly string[];
  /** Calls `tick` every `ms` until disposed. */
  every(ms: number, tick: () => void): Disposable;
  /** Runs the demonstration. */
  demo(args: readonly string[], flags: Readonly<Record<string, unknown>>): Promise<number>;
}

/** One command: gives the process's exit code. */
export type Command = (context: Context, args: readonly string[], flags: Flags) => Promise<number>;

/** Flags as typed, after the command line was read; which of them a command has is said in the command table. */
export interface Flags {
  readonly table?: readonly string[];
  readonly excludeTable?: readonly string[];
  readonly key?: string;
  readonly columns?: readonly string[];
  readonly exclude?: readonly string[];
  readonly map?: readonly string[];
  readonly where?: string;
  readonly whereSource?: string;
  readonly whereTarget?: string;
  readonly sample?: string;
  readonly tolerance?: readonly string[];
  readonly type?: readonly string[];
  readonly mode?: string;
  readonly allowDeletes?: string;
  readonly maxChanges?: string;
  readonly emptySource?: string;
  readonly format?: string;
  readonly limit?: string;
  readonly settle?: string;
  readonly rowsPerSecond?: string;
  readonly statementTimeout?: string;
  readonly batchSize?: string;
  readonly atomic?: string;
  readonly incremental?: boolean;
  readonly full?: boolean;
  readonly explain?: boolean;
  readonly save?: boolean;
  readonly resume?: string;
  readonly out?: string;
  readonly force?: boolean;
  readonly once?: boolean;
  readonly host?: string;
  readonly port?: string;
  readonly workers?: string;
  readonly concurrency?: string;
  readonly yes?: boolean;
  readonly pin?: boolean;
  readonly input?: boolean;
  readonly config?: string;
  readonly control?: string;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly color?: boolean;
  readonly json?: boolean;
  readonly role?: string;
  readonly scope?: readonly string[];
  readonly sync?: readonly string[];
  readonly entity?: readonly string[];
  readonly claim?: readonly string[];
  readonly expires?: string;
  readonly for?: string;
  readonly reason?: string;
  readonly checkpoint?: string;
  readonly pair?: string;
  readonly column?: string;
  readonly kind?: readonly string[];
  readonly state?: readonly string[];
  readonly take?: string;
  readonly set?: readonly string[];
  readonly setNull?: readonly string[];
  readonly why?: string;
  readonly later?: boolean;
  readonly replace?: boolean;
  readonly now?: boolean;
}

/** One message on stderr, unless `--quiet`. */
export const tell = async (context: Context, text: string): Promise<void> => {
  if (!context.quiet) await context.err.write(`${context.redactor.redact(text)}\n`);
};
