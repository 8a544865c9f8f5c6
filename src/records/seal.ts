import {
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  createHash,
  hash,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

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

const blockBytes = 16;
const nonceBytes = 8;
/** The nonce of who made it, and how far into its key stream it begins. */
const headBytes = nonceBytes + 6;
const macBytes = 16;

/** HMAC-SHA-256 (RFC 2104) by two hashes at once: an object of the platform for each text would cost three times as much. */
const hmacWith = (key: Uint8Array): ((parts: readonly Uint8Array[]) => Buffer) => {
  const padded = (by: number): Buffer => {
    const block = Buffer.alloc(64, by);
    for (const [i, byte] of key.entries()) block[i]! ^= byte;
    return block;
  };
  const inner = padded(0x36);
  const outer = padded(0x5c);
  return (parts) =>
    hash('sha256', Buffer.concat([outer, hash('sha256', Buffer.concat([inner, ...parts]), 'buffer')]), 'buffer');
};

/**
 * Cursors are the key stream of one cipher (AES-256 in counter mode) that goes on and on, under a nonce of the process:
 * nothing of the stream is used twice, and making a cipher for each would cost ten times as much.
 */
export const sealOf = (secret: Uint8Array): Seal => {
  const key = (use: string): Buffer => createHash('sha256').update(secret).update(use).digest();
  const tagKey = key('records tag').subarray(0, 16);
  const cursorKey = key('records cursor');
  const mac = hmacWith(key('records cursor mac'));
  const streamFrom = (of: Uint8Array, block: number): Cipheriv => {
    const counter = Buffer.alloc(blockBytes);
    counter.set(of);
    counter.writeBigUInt64BE(BigInt(block), nonceBytes);
    return createCipheriv('aes-256-ctr', cursorKey, counter);
  };
  const nonce = randomBytes(nonceBytes);
  const stream = streamFrom(nonce, 0);
  let position = 0;
  const sign = (about: string, head: Uint8Array, body: Uint8Array): Buffer =>
    mac([Buffer.from(`${about.length}:${about}`), head, body]).subarray(0, macBytes);
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
      const head = Buffer.alloc(headBytes);
      nonce.copy(head);
      head.writeUIntBE(position, nonceBytes, 6);
      const body = stream.update(content, 'utf8');
      position += body.length;
      return Buffer.concat([head, sign(about, head, body), body]).toString('base64url');
    },
    openCursor: (sealed, about) => {
      if (!/^[\w-]+$/.test(sealed)) return undefined;
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length < headBytes + macBytes) return undefined;
      const head = bytes.subarray(0, headBytes);
      const body = bytes.subarray(headBytes + macBytes);
      if (!timingSafeEqual(bytes.subarray(headBytes, headBytes + macBytes), sign(about, head, body))) return undefined;
      const at = head.readUIntBE(nonceBytes, 6);
      const opened = streamFrom(head.subarray(0, nonceBytes), Math.floor(at / blockBytes));
      opened.update(Buffer.alloc(at % blockBytes));
      return opened.update(body).toString('utf8');
    },
  };
};
