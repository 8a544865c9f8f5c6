import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Cancel } from '../../model/cancel.ts';
import { type ErrorCode, LockstepError } from '../../model/errors.ts';
import type { OpenArgs, Operations } from './operations.ts';
import { encodeMessage, messageReader, type Reply, type WireError } from './protocol.ts';

interface Waiting {
  readonly op: string;
  settle(reply: Reply): void;
  fail(error: unknown): void;
}

/** No statements of the user's: starting a process, and ending what is open. */
const untimed = new Set<keyof Operations>(['open', 'end', 'close']);

const entry = fileURLToPath(new URL(`./process${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));

const passedOn = [
  'PATH',
  'TMPDIR',
  'TEMP',
  'TMP',
  'SQLITE_TMPDIR',
  'SYSTEMROOT',
  'LD_LIBRARY_PATH',
  // Compiled code kept by an earlier process: starting takes a fifth of the time.
  'NODE_COMPILE_CACHE',
  'NODE_DISABLE_COMPILE_CACHE',
];

/** Only what SQLite and Node need: no secret of ours reaches the child, no NODE_OPTIONS changes it. */
const childEnvironment = (): NodeJS.ProcessEnv => {
  const kept: NodeJS.ProcessEnv = {};
  for (const name of passedOn) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
};

const fromWire = (error: WireError, side: string): LockstepError =>
  new LockstepError(error.code as ErrorCode, `${side}: ${error.message}`, {
    side,
    details: error.details,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.stack === undefined ? {} : { cause: new Error(error.stack) }),
  });

/** What an aborted call rejects with: our own error as it is, anything else as ABORTED. */
export const abortError = (signal: AbortSignal, side: string): LockstepError =>
  signal.reason instanceof LockstepError
    ? signal.reason
    : new LockstepError('ABORTED', `${side}: the statement was stopped`, { side, cause: signal.reason });

/**
 * One SQLite connection in a process of its own: `node:sqlite` blocks and cannot be interrupted, so that killing the
 * process is what makes abort and time-outs real. Calls are answered in order; several may be under way.
 */
export class Connection implements AsyncDisposable {
  readonly #side: string;
  readonly #child: ChildProcess;
  readonly #waiting: Waiting[] = [];
  readonly #timeoutMs: number | undefined;
  readonly #exited: Promise<void>;
  #stderr = '';
  #ended: LockstepError | undefined;

  private constructor(side: string, timeoutMs: number | undefined) {
    this.#side = side;
    this.#timeoutMs = timeoutMs;
    this.#child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=4', entry], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: childEnvironment(),
      // Ctrl-C in a terminal goes to us; we finish the batch and end the child ourselves.
      detached: true,
      windowsHide: true,
    });
    const read = messageReader((message) => this.#waiting.shift()?.settle(message as Reply));
    this.#child.stdout!.on('data', read);
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-2000);
    });
    for (const pipe of [
      this.#child.stdin!,
      this.#child.stdout!,
      this.#child.stderr!,
      this.#child.stdio[3] as Readable,
    ]) {
      pipe.on('error', () => {});
    }
    this.#exited = new Promise((done) => {
      this.#child.once('error', (cause) => {
        this.#end(
          new LockstepError('CONNECT', `${side}: cannot start the SQLite process: ${cause.message}`, { side, cause }),
        );
        done();
      });
      this.#child.once('close', (code, signal) => {
        const how = signal === null ? `with code ${code}` : `by ${signal}`;
        this.#end(
          new LockstepError('CONNECTION_LOST', `${side}: the SQLite process ended ${how}.`, {
            side,
            details: this.#stderr === '' ? [] : this.#stderr.trim().split('\n'),
          }),
        );
        done();
      });
    });
  }

  /** Starts a process and opens the database in it. */
  static async open(
    args: OpenArgs,
    timeoutMs: number | undefined,
    o: Cancel,
  ): Promise<{ readonly connection: Connection; readonly version: string }> {
    const connection = new Connection(args.side, timeoutMs);
    try {
      const { version } = await connection.call('open', args, o);
      return { connection, version };
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** True once the process has ended or been killed. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** The process id, for tests and messages. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  #end(error: LockstepError): void {
    this.#ended ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.fail(this.#ended);
  }

  /** Kills the process: whatever it was doing ends at once, an open transaction is rolled back by SQLite. */
  kill(reason: LockstepError): void {
    this.#end(reason);
    this.#child.kill('SIGKILL');
  }

  /** Aborting, or running longer than the statement time-out, kills the process and with it the snapshot. */
  call<Op extends keyof Operations>(op: Op, args: Operations[Op]['args'], o: Cancel): Promise<Operations[Op]['value']> {
    const { signal } = o;
    if (signal.aborted) return Promise.reject(abortError(signal, this.#side));
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const stop = (): void => this.kill(abortError(signal, this.#side));
      const timer =
        this.#timeoutMs === undefined || untimed.has(op)
          ? undefined
          : setTimeout(() => {
              const message = `${this.#side}: a statement ran longer than ${this.#timeoutMs} ms and was stopped.`;
              this.kill(new LockstepError('STATEMENT_TIMEOUT', message, { side: this.#side }));
            }, this.#timeoutMs);
      const clear = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', stop);
      };
      signal.addEventListener('abort', stop, { once: true });
      this.#waiting.push({
        op,
        settle: (reply) => {
          clear();
          if ('error' in reply) reject(fromWire(reply.error, this.#side));
          else resolve(reply.value as Operations[Op]['value']);
        },
        fail: (error) => {
          clear();
          reject(error);
        },
      });
      this.#child.stdin!.write(encodeMessage({ op, args }));
    });
  }

  /** Lets the process close the database and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#child.stdin!.end();
    await this.#exited;
    this.#child.stdio[3]?.destroy();
  }
}
