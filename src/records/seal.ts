import {
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
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

/**
 * Cursors are the key stream of one cipher (AES-256 in counter mode) that goes on and on, under a nonce of the process:
 * nothing of the stream is used twice, and making a cipher for each would cost ten times as much.
 */
export const sealOf = (secret: Uint8Array): Seal => {
  const key = (use: string): Buffer => createHash('sha256').update(secret).update(use).digest();
  const tagKey = key('records tag').subarray(0, 16);
  const cursorKey = key('records cursor');
  // as an object: made into one for each cursor it would cost more than all the rest
  const macKey = createSecretKey(key('records cursor mac'));
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
    createHmac('sha256', macKey)
      .update(`${about.length}:${about}`)
      .update(head)
      .update(body)
      .digest()
      .subarray(0, macBytes);
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
