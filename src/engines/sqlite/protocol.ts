import { deserialize, serialize } from 'node:v8';

/**
 * Messages between an endpoint and its SQLite process: four bytes of length (little-endian), then the value in V8's
 * own binary form, which keeps bigints, typed arrays (raw) and strings with lone surrogates as they are. Both ends
 * run the same Node. Every request gets exactly one reply, in order.
 */
export interface Request {
  readonly op: string;
  readonly args: unknown;
}

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly details: readonly string[];
  readonly stack?: string | undefined;
}

export type Reply = { readonly value: unknown } | { readonly error: WireError };

export const encodeMessage = (message: Request | Reply): Buffer => {
  const body = serialize(message);
  const framed = Buffer.allocUnsafe(body.length + 4);
  framed.writeUInt32LE(body.length, 0);
  body.copy(framed, 4);
  return framed;
};

export const decodeMessage = (body: Uint8Array): unknown => deserialize(body);

/** Cuts a byte stream into messages. */
export const messageReader = (onMessage: (message: unknown) => void): ((chunk: Buffer) => void) => {
  const parts: Buffer[] = [];
  let held = 0;
  let need = -1;
  return (chunk) => {
    parts.push(chunk);
    held += chunk.length;
    for (;;) {
      if (need < 0) {
        if (held < 4) return;
        if (parts[0]!.length < 4) parts.splice(0, parts.length, Buffer.concat(parts));
        need = parts[0]!.readUInt32LE(0) + 4;
      }
      if (held < need) return;
      const all = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      const size = need;
      // A message owns its bytes: typed arrays in it are views of them.
      const body = Buffer.allocUnsafeSlow(size - 4);
      all.copy(body, 0, 4, size);
      parts.length = 0;
      held = all.length - size;
      if (held > 0) parts.push(all.subarray(size));
      need = -1;
      onMessage(decodeMessage(body));
    }
  };
};
