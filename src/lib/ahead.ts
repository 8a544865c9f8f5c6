/**
 * The same items, the next ones asked for while one is used: up to `most` wait. Who stops early ends the source, after
 * what it was asked for has come.
 */
export async function* ahead<T>(source: AsyncIterable<T>, most: number): AsyncGenerator<T, void, undefined> {
  const items = source[Symbol.asyncIterator]();
  const waiting: T[] = [];
  let ended = false;
  let failure: { readonly error: unknown } | undefined;
  let woken: () => void = () => {};
  let room: () => void = () => {};
  const pull = async (): Promise<void> => {
    try {
      while (!ended) {
        const next = await items.next();
        if (next.done) break;
        waiting.push(next.value);
        woken();
        if (waiting.length >= most && !ended)
          await new Promise<void>((resolve) => {
            room = resolve;
          });
      }
    } catch (error) {
      failure = { error };
    }
    ended = true;
    woken();
  };
  const pulling = pull();
  try {
    for (;;) {
      const item = waiting.shift();
      if (item !== undefined) {
        room();
        yield item;
      } else if (ended) {
        if (failure) throw failure.error;
        return;
      } else
        await new Promise<void>((resolve) => {
          woken = resolve;
        });
    }
  } finally {
    ended = true;
    room();
    await pulling;
    await items.return?.();
  }
}
