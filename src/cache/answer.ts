/** What was answered, as it is sent. */
export interface Answer {
  /** UTF-8. */
  readonly body: Buffer;
  readonly etag: string;
  /** Cursor of the next page. */
  readonly next: string | undefined;
  /** When it began to be read from the database: milliseconds since 1970. */
  readonly at: number;
}

const version = 1;

/** The answer as one text of bytes, for other processes. */
export const packed = ({ body, etag, next, at }: Answer): Buffer => {
  const head = Buffer.from(JSON.stringify([version, at, etag, next ?? null]));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, body]);
};

/** Undefined: it is none, or one of another version. */
export const unpacked = (bytes: Buffer): Answer | undefined => {
  try {
    const end = 4 + bytes.readUInt32BE(0);
    const head: unknown = JSON.parse(bytes.toString('utf8', 4, end));
    if (!Array.isArray(head) || head[0] !== version) return undefined;
    const [, at, etag, next] = head as readonly unknown[];
    if (typeof at !== 'number' || typeof etag !== 'string' || !(next === null || typeof next === 'string'))
      return undefined;
    // a copy: what came by the network is part of something larger
    return { body: Buffer.from(bytes.subarray(end)), etag, next: next ?? undefined, at };
  } catch {
    return undefined;
  }
};
