import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import type { Masks } from '../model/canon/concealed.ts';
import { LockstepError } from '../model/errors.ts';

/**
 * Encryption of what the control store keeps of users' rows: AES-256-GCM under data keys that the store makes and keeps,
 * each wrapped by a key that is not in the store. To exchange that key only the wrapping is written anew.
 *
 * A locked value is `mark`, the id of its data key (8 bytes), the first 8 bytes of SHA-256 of its place (what it is a
 * value of), a random nonce (12), the cipher text and its tag (16); in a text column `textMark` and that in base64. What
 * stands in front of the nonce is authenticated too: a value that was moved to another place is recognised.
 */
export interface StoredKey {
  /** Names the key without telling it. */
  readonly id: string;
  readonly secret: Buffer;
}

export interface StoredKeys {
  /** Undefined: nothing is encrypted. */
  readonly current: StoredKey | undefined;
  /** Earlier ones, which data keys may still be wrapped by. */
  readonly previous: readonly StoredKey[];
}

const shortest = 16;

/** CONFIG when it is too short to be a secret. */
export const storedKeyOf = (text: string): StoredKey => {
  if (text.trim().length < shortest)
    throw new LockstepError('CONFIG', `the key for stored values is shorter than ${shortest} characters`, {
      hint: 'Make one: openssl rand -base64 32',
    });
  const secret = createHash('sha256').update(`lockstep stored key 1\n${text.trim()}`).digest();
  return { id: createHmac('sha256', secret).update('lockstep stored key id 1').digest('hex').slice(0, 16), secret };
};

const mark = Buffer.from('\u00fflckstp\u0001', 'latin1');
const textMark = 'locked:1:';
const idBytes = 8;
const placeBytes = 8;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = mark.length + idBytes + placeBytes;

/** A data key, unwrapped. */
export interface DataKey {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly secret: Buffer;
}

const encrypt = (key: Buffer, head: Buffer, plain: Uint8Array): Buffer => {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(head);
  return Buffer.concat([head, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
};

/** Undefined: it is not what was encrypted with this key. */
const decrypt = (key: Buffer, bytes: Buffer, head: number): Buffer | undefined => {
  const from = head + nonceBytes;
  const to = bytes.length - tagBytes;
  if (to < from) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(head, from), { authTagLength: tagBytes })
      .setAAD(bytes.subarray(0, head))
      .setAuthTag(bytes.subarray(to));
    return Buffer.concat([decipher.update(bytes.subarray(from, to)), decipher.final()]);
  } catch {
    return undefined;
  }
};

export const newDataKey = (): DataKey => ({ id: randomBytes(idBytes).toString('hex'), secret: randomBytes(32) });

const wrappedHead = (id: string): Buffer => Buffer.from(`lockstep data key ${id}\n`);

/** A data key as it is stored. */
export const wrapKey = (by: StoredKey, { id, secret }: DataKey): Buffer =>
  encrypt(by.secret, wrappedHead(id), secret).subarray(wrappedHead(id).length);

/** STORED_VALUE when it is not what was wrapped. */
export const unwrapKey = (by: StoredKey, id: string, wrapped: Buffer): DataKey => {
  const head = wrappedHead(id);
  const secret = decrypt(by.secret, Buffer.concat([head, wrapped]), head.length);
  if (secret === undefined) throw changed(`the data key ${id}`);
  return { id, secret };
};

const placeOf = (place: string): Buffer => createHash('sha256').update(place).digest().subarray(0, placeBytes);

const changed = (what: string): LockstepError =>
  new LockstepError('STORED_VALUE', `${what} in the control store is not what was written there`, {
    hint: 'Somebody has changed the control store by other means. Restore it from a backup: lockstep backup list.',
  });

const lockBytes = ({ id, secret }: DataKey, plain: Uint8Array, place: string): Buffer =>
  encrypt(secret, Buffer.concat([mark, Buffer.from(id, 'hex'), placeOf(place)]), plain);

/** What values are locked with before they are stored; without a key they stay as they are. `place`: what it is a value of. */
export interface Lock {
  bytes(plain: Buffer, place: string): Buffer;
  text<T extends string | null>(plain: T, place: string): T | string;
}

export const openLock: Lock = { bytes: (plain) => plain, text: (plain) => plain };

export const lockOf = (key: DataKey): Lock => ({
  bytes: (plain, place) => lockBytes(key, plain, place),
  text: (plain, place) =>
    plain === null ? plain : `${textMark}${lockBytes(key, Buffer.from(plain, 'utf8'), place).toString('base64')}`,
});

/** A value that is locked where the store has a key. */
export type Kept = (lock: Lock) => unknown;

export interface Locked {
  /** The id of the data key. */
  readonly key: string;
  /** STORED_VALUE when it was changed or moved; `place` undefined: wherever it is; several: any of these. */
  open(key: DataKey, place: string | readonly string[] | undefined): string | Buffer;
}

/** Undefined: the value is not locked. */
export const lockedOf = (value: unknown): Locked | undefined => {
  let bytes: Buffer;
  if (typeof value === 'string') {
    if (!value.startsWith(textMark)) return undefined;
    bytes = Buffer.from(value.slice(textMark.length), 'base64');
  } else if (Buffer.isBuffer(value)) bytes = value;
  else return undefined;
  if (bytes.length < headBytes || !bytes.subarray(0, mark.length).equals(mark)) return undefined;
  return {
    key: bytes.toString('hex', mark.length, mark.length + idBytes),
    open: (key, place) => {
      const was = bytes.subarray(mark.length + idBytes, headBytes);
      const moved = place !== undefined && ![place].flat().some((one) => was.equals(placeOf(one)));
      const plain = moved ? undefined : decrypt(key.secret, bytes, headBytes);
      if (plain === undefined)
        throw changed(place === undefined ? 'an encrypted value' : `an encrypted value (${[place].flat()[0]})`);
      return typeof value === 'string' ? plain.toString('utf8') : plain;
    },
  };
};

const maskDigits = 16;

/** Masks by HMAC-SHA256 under a key of its own, derived from a data key: 64 bits of it. */
export const masksOf = ({ secret }: DataKey): Masks => {
  const key = createHmac('sha256', secret).update('lockstep masks 1').digest();
  return (pair, column, value) =>
    createHmac('sha256', key)
      .update(JSON.stringify([pair, column, value]))
      .digest('hex')
      .slice(0, maskDigits);
};
