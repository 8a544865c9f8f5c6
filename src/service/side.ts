/** One side of a job: where to connect, and how. Secrets are looked up when it connects. */
export interface Side {
  readonly name: string;
  readonly writable: boolean;
  connection(): string | Readonly<Record<string, unknown>>;
  /** Where its password comes from, for messages. */
  readonly credentials: readonly string[];
  /** Where it was written, for messages. */
  readonly where: string;
  readonly rowsPerSecond?: number;
  readonly statementTimeoutMs?: number;
  readonly baseDir: string;
  /** The run or request that it is for: seen in the list of the server's sessions. */
  readonly correlation?: string;
  /** Its place in a trace (W3C), told to APIs. */
  readonly traceparent?: string;
}
