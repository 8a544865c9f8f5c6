import { hash, randomBytes } from 'node:crypto';

/** What every token begins with, so that scanners of repositories and logs know one. */
const tokenPrefix = 'lsk_';

// Without letters that look alike; a double click takes the whole of it.
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const length = 52;
const pattern = new RegExp(`^${tokenPrefix}[${alphabet}]{${length}}$`);

/** A new token: 260 random bits. Shown once, kept nowhere. */
export const newTokenSecret = (random: (bytes: number) => Uint8Array = randomBytes): string =>
  tokenPrefix + [...random(length)].map((byte) => alphabet[byte & 31]).join('');

export const looksLikeToken = (text: string): boolean => pattern.test(text);

/**
 * What the store keeps. A plain SHA-256 is right here, and a slow password hash would be wrong: there are 2^260 tokens
 * and none is more likely than another, so nobody can try them all against a stolen hash, and every request has to
 * compute it. Looking a hash up in an index takes a time that depends on the hash only, which tells nothing of the
 * token.
 */
export const tokenHash = (secret: string): Buffer => hash('sha256', secret, 'buffer');

/** The same as text (base64) of what looks like a token; undefined: it does not. */
export const tokenHashText = (bearer: string): string | undefined =>
  looksLikeToken(bearer) ? hash('sha256', bearer, 'base64') : undefined;
