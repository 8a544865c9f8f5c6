/** How often rows of a table have been written, by the server's own counters. */
export interface TableActivity {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  /** For how long it has counted, milliseconds. */
  readonly overMs: number;
  /** It may have counted for longer, nobody knows how long: rates are lower than they seem. */
  readonly atMost?: true;
}
