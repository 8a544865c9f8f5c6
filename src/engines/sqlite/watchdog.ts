import { Worker } from 'node:worker_threads';

/** Plain JavaScript, so that the thread starts without reading a file: it ends this process when the pipe ends. */
const watching = `
const { Socket } = require('node:net');
const end = () => process.kill(process.pid, 'SIGKILL');
const pipe = new Socket({ fd: 3, readable: true, writable: false });
pipe.on('end', end).on('close', end).on('error', end).resume();
`;

/**
 * Watches descriptor 3, a pipe that only the parent's end closes, beside the main thread, which blocks inside
 * statements: an orphan ends at once and neither works on nor keeps a lock.
 */
export const watchParent = (): void => {
  // Its output is not joined to ours: that would make our descriptor return before all is written, and each wait a sleep.
  new Worker(watching, { eval: true, stdout: true, stderr: true }).unref();
};
