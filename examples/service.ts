/** What the stories with a service share: tokens, processes of their own, and asking the API. */
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
  readonly retryAfter: string | null;
  /** Whether the cache has answered. */
  readonly cacheStatus: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: the story says what it expects of it
  readonly body: any;
}

/** A `lockstep serve` or `lockstep worker`, and what it writes to its log. */
export interface StoryProcess extends AsyncDisposable {
  /** The next line of the log that says so and holds `text`, from here on. */
  logged(message: string, text?: string): Promise<void>;
  /** Everything that it has written to its log. */
  log(): string;
  reload(): void;
  /** Ends it as a service manager would; fails unless it ends with 0. */
  stop(): Promise<void>;
}

export interface StoryService extends StoryProcess {
  readonly base: string;
  /** Asks as a program would, shows question and answer, and insists on the promised status. */
  ask(promised: number, method: string, path: string, o: Question): Promise<Answer>;
  /** The answer to a GET, without a word: for asking again and again. */
  look(path: string, token: string): Promise<Looked>;
  /** The stream of events, up to the first one that is meant. */
  events(path: string, token: string, last: (event: string) => boolean): Promise<readonly StoryEvent[]>;
}

/** An event of the API, as far as the stories look at it. */
export interface StoryEvent {
  readonly type: string;
  readonly subject: string;
  readonly correlation?: string;
  // biome-ignore lint/suspicious/noExplicitAny: the story says what it expects of it
  readonly data: any;
}

export interface Looked {
  readonly status: number;
  readonly retryAfter: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: the story says what it expects of it
  readonly body: any;
}

/** Asks again until there is an answer, a minute at most: the story fails then. */
export const until = async <T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> => {
  const began = Date.now();
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    insist(Date.now() - began < 60_000, `${what} within a minute`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

/** `/health` and `/api/…` as they are; what is of the API proper may leave its beginning out. */
const whole = (path: string): string => (/^\/(health|api|readyz|metrics|docs)\b/.test(path) ? path : `/api/v1${path}`);

const start = (folder: string, args: readonly string[]) => {
  console.log(`\n$ lockstep ${args.join(' ')}`);
  const child = spawn(process.execPath, [launcher, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
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
      ended.then((code) => Promise.reject(new Error(`${args[0]} ended with ${code}: ${log.join('\n')}`))),
    ]);
  const started: StoryProcess = {
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
      insist(code === 0, `${args[0]} ends with 0, not ${code}`);
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
  return { child, orEnd, started };
};

/** One more `lockstep worker` in the folder, at work when this returns. */
export const worker = async (folder: string): Promise<StoryProcess> => {
  const { started } = start(folder, ['worker']);
  await started.logged('worker started');
  return started;
};

/** `lockstep serve` in the folder, on a free port. */
export const serve = async (folder: string, ...args: readonly string[]): Promise<StoryService> => {
  const { child, orEnd, started } = start(folder, ['serve', '--port', '0', ...args]);
  const base = await orEnd(
    new Promise<string>((resolve) => createInterface({ input: child.stdout }).once('line', resolve)),
  );
  console.log(base);
  return {
    ...started,
    base,
    ask: async (promised, method, path, o) => {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const response = await fetch(`${base}${whole(path)}`, {
        method,
        headers: {
          ...(o.token === '' ? {} : { authorization: `Bearer ${o.token}` }),
          ...(o.body === undefined ? {} : { 'content-type': type }),
          ...o.headers,
        },
        ...(o.body === undefined ? {} : { body: JSON.stringify(o.body) }),
      });
      const text = await response.text();
      console.log(`\n${method} ${whole(path)}${o.body === undefined ? '' : `  ${JSON.stringify(o.body)}`}`);
      for (const [name, value] of Object.entries(o.headers ?? {})) console.log(`  ${name}: ${value}`);
      const retryAfter = response.headers.get('retry-after');
      const cacheStatus = response.headers.get('cache-status');
      if (cacheStatus !== null) console.log(`   Cache-Status: ${cacheStatus}`);
      const shown = text.length > 400 ? `${text.slice(0, 400)} …` : text;
      console.log(
        `-> ${response.status}${retryAfter === null ? '' : ` (Retry-After: ${retryAfter})`}${text === '' ? '' : ` ${shown}`}`,
      );
      insist(response.status === promised, `${method} ${path} answers ${promised}, not ${response.status}: ${text}`);
      return {
        etag: response.headers.get('etag') ?? '',
        location: response.headers.get('location'),
        retryAfter,
        cacheStatus,
        body: text === '' || !/json/.test(response.headers.get('content-type') ?? '') ? text : JSON.parse(text),
      };
    },
    events: async (path, token, last) => {
      const leaving = new AbortController();
      const response = await fetch(`${base}${whole(path)}`, {
        headers: { authorization: `Bearer ${token}` },
        signal: leaving.signal,
      });
      const found: StoryEvent[] = [];
      const decoder = new TextDecoder();
      let rest = '';
      try {
        for await (const piece of response.body!) {
          const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
          rest = lines.pop()!;
          for (const line of lines.filter((l) => l.startsWith('data: {'))) {
            found.push(JSON.parse(line.slice('data: '.length)) as StoryEvent);
            if (last(line)) return found;
          }
        }
      } finally {
        leaving.abort();
      }
      throw new Error('the story does not hold: the stream of events has ended');
    },
    look: async (path, token) => {
      const response = await fetch(`${base}${whole(path)}`, {
        headers: token === '' ? {} : { authorization: `Bearer ${token}` },
      });
      const text = await response.text();
      const json = /json/.test(response.headers.get('content-type') ?? '');
      return {
        status: response.status,
        retryAfter: response.headers.get('retry-after'),
        body: json ? JSON.parse(text) : text,
      };
    },
  };
};
