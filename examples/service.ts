/** What the stories with a service share: tokens, a `lockstep serve` of their own, and asking it. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { insist, launcher, output } from './story.ts';

/** Makes a token, shows everything of it but the secret, and gives that. */
export const tokenFor = async (folder: string, name: string, ...rights: readonly string[]): Promise<string> => {
  const args = ['token', 'create', name, ...rights, '--json'];
  console.log(`\n$ lockstep ${args.join(' ')}`);
  const { token, secret } = JSON.parse(await output(folder, args)) as { token: unknown; secret: string };
  console.log(JSON.stringify(token), '\n(the token itself is shown once; it is kept out of this story)');
  return secret;
};

export interface Question {
  readonly token: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface Answer {
  readonly etag: string;
  readonly location: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: the story says what it expects of it
  readonly body: any;
}

export interface StoryService extends AsyncDisposable {
  /** Asks as a program would, shows question and answer, and insists on the promised status. */
  ask(promised: number, method: string, path: string, o: Question): Promise<Answer>;
  /** Waits for the next line of the log that says so and holds `text`, from here on. */
  logged(message: string, text?: string): Promise<void>;
  /** Everything that it has written to its log. */
  log(): string;
  reload(): void;
  /** Ends it as a service manager would; fails unless it ends with 0. */
  stop(): Promise<void>;
}

/** `lockstep serve` in the folder, on a free port. */
export const serve = async (folder: string, ...args: readonly string[]): Promise<StoryService> => {
  console.log(`\n$ lockstep serve ${['--port 0', ...args].join(' ')}`);
  const child = spawn(process.execPath, [launcher, 'serve', '--port', '0', ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const log: string[] = [];
  const heard = new Set<(line: string) => void>();
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.push(line);
    for (const look of heard) look(line);
  });
  const orEnd = <T>(waiting: Promise<T>): Promise<T> =>
    Promise.race([
      waiting,
      ended.then((code) => Promise.reject(new Error(`serve ended with ${code}: ${log.join('\n')}`))),
    ]);
  const base = await orEnd(
    new Promise<string>((resolve) => createInterface({ input: child.stdout }).once('line', resolve)),
  );
  console.log(base);
  return {
    ask: async (promised, method, path, o) => {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const response = await fetch(`${base}/api/v1${path}`, {
        method,
        headers: {
          ...(o.token === '' ? {} : { authorization: `Bearer ${o.token}` }),
          ...(o.body === undefined ? {} : { 'content-type': type }),
          ...o.headers,
        },
        ...(o.body === undefined ? {} : { body: JSON.stringify(o.body) }),
      });
      const text = await response.text();
      console.log(`\n${method} /api/v1${path}${o.body === undefined ? '' : `  ${JSON.stringify(o.body)}`}`);
      for (const [name, value] of Object.entries(o.headers ?? {})) console.log(`  ${name}: ${value}`);
      const shown = text.length > 400 ? `${text.slice(0, 400)} …` : text;
      console.log(`-> ${response.status}${text === '' ? '' : ` ${shown}`}`);
      insist(response.status === promised, `${method} ${path} answers ${promised}, not ${response.status}: ${text}`);
      return {
        etag: response.headers.get('etag') ?? '',
        location: response.headers.get('location'),
        body: text === '' ? undefined : JSON.parse(text),
      };
    },
    logged: (message, text = '') =>
      orEnd(
        new Promise<void>((resolve) => {
          const look = (line: string): void => {
            if (!line.includes(`"message":"${message}"`) || !line.includes(text)) return;
            heard.delete(look);
            console.log(line);
            resolve();
          };
          heard.add(look);
        }),
      ),
    log: () => log.join('\n'),
    reload: () => void child.kill('SIGHUP'),
    stop: async () => {
      child.kill('SIGTERM');
      const code = await ended;
      insist(code === 0, `serve ends with 0, not ${code}`);
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
};
