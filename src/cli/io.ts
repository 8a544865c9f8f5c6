/** One of the process's output streams, safe against readers that go away (`| head`). */
export interface Out {
  readonly isTTY: boolean;
  /** Columns of the terminal; 80 when it is none. */
  readonly columns: number;
  /** May colours be used here? */
  readonly color: boolean;
  /** The reader has gone: what is written now goes nowhere. */
  readonly closed: boolean;
  /** Resolves when there is room for more. Never rejects because the reader has gone. */
  write(text: string): Promise<void>;
  /** Resolves when everything has been handed to the system. */
  flush(): Promise<void>;
}

/** `TERM=dumb`, `NO_COLOR` and `--no-color` turn colours off; they need a terminal. */
export const mayColor = (
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
  asked: boolean,
): boolean => asked && stream.isTTY === true && env['TERM'] !== 'dumb' && (env['NO_COLOR'] ?? '') === '';

/** `onClosed` is told once when the reader has gone. */
export const outTo = (stream: NodeJS.WriteStream, color: boolean, onClosed: () => void = () => {}): Out => {
  let closed = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED' && error.code !== 'EIO') throw error;
    if (!closed) onClosed();
    closed = true;
  });
  const written = (text: string): Promise<void> =>
    new Promise((resolve) => {
      if (closed) resolve();
      else stream.write(text, () => resolve());
    });
  return {
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.isTTY === true ? stream.columns || 80 : 80;
    },
    color,
    get closed() {
      return closed;
    },
    // A write that the system has not taken yet is waited for, so that a slow reader slows us and memory stays flat.
    write: (text) => {
      if (closed || text === '') return Promise.resolve();
      if (stream.writableLength === 0) {
        return stream.write(text) ? Promise.resolve() : written('');
      }
      return written(text);
    },
    flush: () => written(''),
  };
};
