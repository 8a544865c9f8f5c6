import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

/** What a `.env` file sets; undefined when there is none. It never changes the process's environment. */
export const readDotenv = (file: string): Readonly<Record<string, string>> | undefined => {
  try {
    return parseEnv(readFileSync(file, 'utf8')) as Record<string, string>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'EISDIR')
      return undefined;
    throw error;
  }
};
