/**
 * Advisory locks of the embedded server. Users hold `userLock` shared; the watcher takes it alone to end the server, so
 * that nobody enters while it ends. `watcherLock` is held by the one watcher.
 */
export const userLock = 1;
export const watcherLock = 2;
