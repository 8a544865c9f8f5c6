const canonicalForm = /^(?:[0-9a-f]{2})*$/;

/** Lower-case hexadecimal, from hexadecimal in any case with or without `\x` or `0x`; undefined for anything else. */
export const bytesText = (raw: string): string | undefined => {
  if (canonicalForm.test(raw)) return raw;
  const text = (raw.startsWith('\\x') || raw.startsWith('0x') ? raw.slice(2) : raw).toLowerCase();
  return canonicalForm.test(text) ? text : undefined;
};

export const hexFromBytes = (bytes: Uint8Array): string =>
  (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).toString('hex');

export const bytesFromHex = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
