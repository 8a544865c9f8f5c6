/**
 * Runs the two sides of a pair at the same time. When one fails the other is cancelled, both are waited for, and the
 * first failure is thrown.
 */
export const both = async <A, B>(
  signal: AbortSignal,
  a: (signal: AbortSignal) => Promise<A>,
  b: (signal: AbortSignal) => Promise<B>,
): Promise<readonly [A, B]> => {
  const stop = new AbortController();
  const linked = AbortSignal.any([signal, stop.signal]);
  let failure: { readonly error: unknown } | undefined;
  const guarded = async <T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    try {
      return await run(linked);
    } catch (error) {
      failure ??= { error };
      stop.abort(error);
      throw error;
    }
  };
  const [x, y] = await Promise.allSettled([guarded(a), guarded(b)]);
  if (x.status === 'fulfilled' && y.status === 'fulfilled') return [x.value, y.value];
  throw failure?.error;
};

/** Asks for the next item while the present one is worked on, so that both databases keep working. Holds one item. */
export async function* ahead<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<T>> | undefined;
  try {
    next = iterator.next();
    for (;;) {
      const current = await next;
      if (current.done) {
        next = undefined;
        return;
      }
      next = iterator.next();
      // An early failure is met at the next turn; until then it is not unhandled.
      next.catch(() => {});
      yield current.value;
    }
  } finally {
    if (next) {
      await next.catch(() => {});
      await iterator.return?.();
    }
  }
}
