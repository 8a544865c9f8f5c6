import { type Context, tell } from './context.ts';
import type { ProgressView } from './progress.ts';

/** Until somebody asks this process to end. */
export const untilStopped = async (context: Context): Promise<void> => {
  const stop = AbortSignal.any([context.stop, context.now]);
  if (stop.aborted) return;
  await new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve(), { once: true }));
};

/** Says at the first Ctrl-C what happens now, and what a second one would do. Dispose when the writing is over. */
export const announceStop = (context: Context, progress: ProgressView): Disposable => {
  const say = (): void => {
    // Nobody reads any more: nothing to say.
    if (context.now.aborted) return;
    progress.clear();
    void tell(context, 'stopping after the batch in hand; Ctrl-C again stops at once');
  };
  context.stop.addEventListener('abort', say, { once: true });
  return { [Symbol.dispose]: () => context.stop.removeEventListener('abort', say) };
};
