/** Runs a bounded number of pieces of work at a time; the first failure is thrown by the next call. */
export interface Pool {
  /** Resolves when there is room and the work has begun. */
  begin(work: () => Promise<void>): Promise<void>;
  /** Everything begun has ended. Throws the first failure. */
  drain(): Promise<void>;
}

export const pool = (size: number): Pool => {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const check = (): void => {
    if (failures.length > 0) throw failures[0];
  };
  return {
    begin: async (work) => {
      while (running.size >= size) await Promise.race(running);
      check();
      const one: Promise<void> = work().then(
        () => void running.delete(one),
        (error: unknown) => {
          running.delete(one);
          failures.push(error);
        },
      );
      running.add(one);
    },
    drain: async () => {
      while (running.size > 0) await Promise.race(running);
      check();
    },
  };
};
