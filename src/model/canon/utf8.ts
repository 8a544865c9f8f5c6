/**
 * UTF-8 with every byte kept: a byte that is not part of valid UTF-8 becomes the lone surrogate U+DC00 + byte
 * (U+DC80..U+DCFF), as Python's surrogateescape (PEP 383) does, and back. Injective: valid UTF-8 never decodes to one.
 */
export const decodeUtf8 = (_bytes: Uint8Array): string => {
  throw new Error('not written yet');
};
export const encodeUtf8 = (_text: string): Uint8Array => {
  throw new Error('not written yet');
};
