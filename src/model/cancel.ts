export interface Cancel {
  /** Aborting must reach the server: a running statement is cancelled there, not merely forgotten. */
  readonly signal: AbortSignal;
}
