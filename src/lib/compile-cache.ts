import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** The user's folder for what may be thrown away at any time; undefined when there is no home. */
const cacheFolder = (env: NodeJS.ProcessEnv): string | undefined => {
  const given = process.platform === 'win32' ? env['LOCALAPPDATA'] : env['XDG_CACHE_HOME'];
  if (given !== undefined && isAbsolute(given)) return given;
  const home = homedir();
  return isAbsolute(home) ? join(home, process.platform === 'darwin' ? 'Library/Caches' : '.cache') : undefined;
};

/**
 * Keeps compiled code between runs, and lets the processes we start share it: reading the modules is most of a short
 * run. Harmless where the folder cannot be written; NODE_DISABLE_COMPILE_CACHE=1 turns it off. To be called before the
 * other modules are loaded.
 */
export const keepCompiledCode = (env: NodeJS.ProcessEnv): void => {
  try {
    const folder = cacheFolder(env);
    if (folder === undefined) return;
    env['NODE_COMPILE_CACHE'] ??= join(folder, 'lockstep', 'code');
    enableCompileCache(env['NODE_COMPILE_CACHE']);
  } catch {
    // No home, no cache.
  }
};
