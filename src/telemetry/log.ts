import { pino } from 'pino';
import type { Clock } from '../lib/clock.ts';
import type { Redactor } from '../lib/redact.ts';
import { LockstepError } from '../model/errors.ts';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What a line is about, as fields: names, ids, numbers, durations; never a secret and never a row's content. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Structured log lines for operators. The message is lower case and constant; what varies stands in the fields.
 * `correlation` ties the lines of one request, its run and its statements together.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  /** `error`: what was thrown; its code, message and hint are written, the stack only of what nobody expected. */
  error(message: string, fields?: LogFields & { readonly error?: unknown }): void;
  /** A log whose lines all carry these fields, too. */
  child(fields: LogFields): Log;
}

export interface OpenLog extends Log {
  /** Opens the file again: it was renamed by a log rotation. Without a file: nothing. */
  reopen(): void;
  /** Writes what is held back. */
  flush(): void;
}

/** A text is cut here: a log line is no place for more. */
const longest = 2000;
const deepest = 4;

/** Characters that JSON leaves alone and terminals act upon: DEL, C1 controls, directions, line separators. */
const active = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const escaped = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;

const errorFacts = (error: unknown): unknown => {
  if (error instanceof LockstepError)
    return {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.side === undefined ? {} : { side: error.side }),
      ...(error.code === 'INTERNAL' && error.stack !== undefined ? { stack: error.stack } : {}),
    };
  if (error instanceof Error)
    return { code: 'INTERNAL', message: error.message, ...(error.stack === undefined ? {} : { stack: error.stack }) };
  return { code: 'INTERNAL', message: String(error) };
};

/** The value as it may stand in a line: secrets masked in every text, long texts cut, errors as their facts. */
const clean = (value: unknown, redactor: Redactor, depth = 0): unknown => {
  if (typeof value === 'string') {
    // Cut before, too: what masks is slow on very long texts.
    const text = redactor.redact(value.slice(0, 4 * longest));
    return text.length > longest ? `${text.slice(0, longest)}…` : text;
  }
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Error) return clean(errorFacts(value), redactor, depth);
  if (value === null || typeof value !== 'object') return value;
  if (depth >= deepest) return '…';
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => clean(item, redactor, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [redactor.redact(name), clean(item, redactor, depth + 1)]),
  );
};

interface Destination {
  write(line: string): void;
  reopen?(): void;
  flushSync?(): void;
}

/** JSON lines on `write`, or at the end of `file`, which is made when it is not there. */
export const openLog = (o: {
  readonly level: LogLevel;
  readonly file?: string;
  readonly write: (line: string) => void;
  readonly clock: Pick<Clock, 'now'>;
  readonly redactor: Redactor;
  /** In every line: the process's part and number. */
  readonly fields?: LogFields;
}): OpenLog => {
  const file: Destination | undefined =
    o.file === undefined
      ? undefined
      : (pino.destination({ dest: o.file, mkdir: true, append: true, sync: true, mode: 0o640 }) as Destination);
  const destination: Destination = {
    write: (line) => (file ?? o).write(line.replace(active, escaped)),
  };
  const base = pino(
    {
      level: o.level,
      base: null,
      timestamp: () => `,"time":"${new Date(o.clock.now()).toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
      messageKey: 'message',
    },
    destination,
  );
  const logOf = (bound: LogFields): Log => {
    const say = (level: Exclude<LogLevel, 'silent'>) => (message: string, fields?: LogFields) => {
      if (!base.isLevelEnabled(level)) return;
      const all = { ...bound, ...fields };
      if ('error' in all) all['error'] = errorFacts(all['error']);
      base[level](clean(all, o.redactor) as object, o.redactor.redact(message));
    };
    return {
      debug: say('debug'),
      info: say('info'),
      warn: say('warn'),
      error: say('error'),
      child: (fields) => logOf({ ...bound, ...fields }),
    };
  };
  return {
    ...logOf(o.fields ?? {}),
    reopen: () => file?.reopen?.(),
    flush: () => file?.flushSync?.(),
  };
};
