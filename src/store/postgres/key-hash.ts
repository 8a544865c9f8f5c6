import { createHash } from 'node:crypto';
import type { Key } from '../../model/row.ts';

/** SHA-256 of a key, which may be longer than an index takes: what tables of the store find it by. */
export const hashOf = (key: Key): Buffer => createHash('sha256').update(JSON.stringify(key)).digest();
