import type { Finding } from '../../model/endpoint.ts';

/** Something that the doctor tells; `fix`: what to do about it. */
export const finding = (level: Finding['level'], code: string, message: string, fix?: string): Finding => ({
  level,
  code,
  message,
  ...(fix === undefined ? {} : { fix }),
});
