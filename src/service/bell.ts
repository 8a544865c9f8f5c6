/** Wakes one waiter: rings before anybody waits are kept as one. */
export interface Bell {
  ring(): void;
  /** Resolves at the next ring, or after `ms`. */
  heard(ms: number): Promise<void>;
}

export const newBell = (): Bell => {
  let rung = false;
  let go: (() => void) | undefined;
  return {
    ring: () => {
      rung = true;
      go?.();
    },
    heard: async (ms) => {
      if (!rung) {
        let timer: NodeJS.Timeout | undefined;
        await new Promise<void>((resolve) => {
          go = resolve;
          timer = setTimeout(resolve, ms);
        });
        clearTimeout(timer);
        go = undefined;
      }
      rung = false;
    },
  };
};

/** Rings for each item until it ends. A source that fails is the affair of whoever polls beside it. */
export const ringFor = async (bell: Bell, source: AsyncIterable<void>): Promise<void> => {
  try {
    for await (const _ of source) bell.ring();
  } catch {
    // Found by looking again.
  }
};
