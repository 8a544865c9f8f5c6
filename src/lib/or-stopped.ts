/** Waits for work that others share, no longer than this caller may: rejects with the signal's reason, and the work goes on. */
export const orStopped = async <T>(work: Promise<T>, { signal }: { readonly signal: AbortSignal }): Promise<T> => {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
};
