import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/**
 * What callers carry about and cannot read: cursors hold cells of rows, and a tag that stands for a row with masked
 * columns would let them be guessed. One key for all processes of a control store.
 */
export interface Seal {
  /** A tag of 32 hexadecimal digits as 22 characters; the same for the same tag. */
  tag(tag: string): string;
  /** Undefined: it is none of ours. */
  openTag(sealed: string): string | undefined;
  /** `about`: what the cursor is for; opened for anything else it is none. */
  cursor(content: string, about: string): string;
  openCursor(sealed: string, about: string): string | undefined;
}

export const sealOf = (secret: Uint8Array): Seal => {
  const key = (use: string): Buffer => createHash('sha256').update(secret).update(use).digest();
  const tagKey = key('records tag').subarray(0, 16);
  const cursorKey = key('records cursor');
  // blocks are ciphered one by one, each for itself: the same tag gives the same text, and one cipher serves for all
  const tagCipher = createCipheriv('aes-128-ecb', tagKey, null).setAutoPadding(false);
  return {
    tag: (tag) => tagCipher.update(tag, 'hex').toString('base64url'),
    openTag: (sealed) => {
      if (!/^[\w-]{22}$/.test(sealed)) return undefined;
      const decipher = createDecipheriv('aes-128-ecb', tagKey, null).setAutoPadding(false);
      return Buffer.concat([decipher.update(Buffer.from(sealed, 'base64url')), decipher.final()]).toString('hex');
    },
    cursor: (content, about) => {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', cursorKey, iv).setAAD(Buffer.from(about));
      const body = Buffer.concat([cipher.update(content, 'utf8'), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url');
    },
    openCursor: (sealed, about) => {
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length < 29 || !/^[\w-]+$/.test(sealed)) return undefined;
      try {
        const decipher = createDecipheriv('aes-256-gcm', cursorKey, bytes.subarray(0, 12));
        decipher.setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(12, 28));
        return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
      } catch {
        return undefined;
      }
    },
  };
};
