/** A bounded number of transactions beside each other, until that is found not to work: then one at a time. */
export interface Abreast {
  /** In the order of the calls. `alone`: no other one is under way, nor begins before this one has ended. */
  enter<T>(work: (alone: boolean) => Promise<T>): Promise<T>;
  /** From now on one at a time, once those under way have ended. */
  narrow(): void;
}

/** `most`: transactions at a time, at least 1. */
export const abreast = (most: number): Abreast => {
  let places = most;
  let inside = 0;
  const waiting: (() => void)[] = [];
  return {
    enter: async (work) => {
      // who leaves hands its place over: nobody who comes later takes it before
      if (inside < places && waiting.length === 0) inside++;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work(places === 1 && inside === 1);
      } finally {
        inside--;
        while (waiting.length > 0 && inside < places) {
          inside++;
          waiting.shift()!();
        }
      }
    },
    narrow: () => {
      places = 1;
    },
  };
};
