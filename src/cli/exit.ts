/** Exit codes of finished commands; errors carry their own (see `model/errors.ts`). */
export const exitCodes = {
  ok: 0,
  crash: 1,
  differs: 2,
  usage: 20,
  incomplete: 25,
  conflicts: 26,
  /** Stopped by Ctrl-C. */
  interrupted: 130,
  /** The reader of our output went away (as a shell shows SIGPIPE). */
  brokenPipe: 141,
} as const;

const order = [exitCodes.conflicts, exitCodes.differs, exitCodes.incomplete, exitCodes.ok];

/** The one code of several outcomes: errors > 26 > 2 > 25 > 0. */
export const worstExit = (codes: readonly number[]): number => {
  const failed = codes.find((code) => !order.includes(code as (typeof order)[number]));
  return failed ?? order.find((code) => codes.includes(code)) ?? exitCodes.ok;
};
