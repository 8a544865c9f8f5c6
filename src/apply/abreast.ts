/** Transactions beside each other, until that is found not to work: then one at a time. */
export interface Abreast {
  /** `alone`: no other one is under way, nor begins before this one has ended. */
  enter<T>(work: (alone: boolean) => Promise<T>): Promise<T>;
  /** From now on one at a time, once those under way have ended. */
  narrow(): void;
}

export const abreast = (wide: boolean): Abreast => {
  let alone = !wide;
  let inside = 0;
  const waiting: (() => void)[] = [];
  return {
    enter: async (work) => {
      while (alone && inside > 0) await new Promise<void>((resolve) => waiting.push(resolve));
      inside++;
      try {
        return await work(alone);
      } finally {
        inside--;
        if (inside === 0) waiting.shift()?.();
      }
    },
    narrow: () => {
      alone = true;
    },
  };
};
