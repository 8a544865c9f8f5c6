import { Socket } from 'node:net';

/**
 * Runs beside the SQLite process's main thread, which blocks inside statements: when the parent is gone (the pipe on
 * descriptor 3 ends), the process ends at once, so that an orphan neither works on nor keeps a lock.
 */
const end = (): void => {
  process.kill(process.pid, 'SIGKILL');
};
const pipe = new Socket({ fd: 3, readable: true, writable: false });
pipe.on('end', end).on('close', end).on('error', end);
pipe.resume();
