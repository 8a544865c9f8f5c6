/**
 * What became of every row, kept so that the numbers add up on each side:
 * rows = identical + different + only on that side + apart (duplicate or null keys, in flight, outside the filter,
 * quarantined).
 */
export interface Tally {
  identical: number;
  different: number;
  onlyInSource: number;
  onlyInTarget: number;
  /** Keys, not rows. */
  duplicateKeys: number;
  /** Keys, not rows. */
  inFlight: number;
  /** Rows that one side shows and the other only hides by its filter. */
  outsideFilter: number;
  /** Rows whose key holds a NULL. */
  nullKeys: number;
  /** Source rows whose key is made of other columns and is NULL, or cannot be made. */
  unkeyed: number;
  /** Source rows that are invalid by the pair's rules. */
  quarantined: number;
  /** The first of them, for people. */
  readonly invalid: string[];
  /** Rows of each side that took part in none of the four plain outcomes. */
  readonly apart: { source: number; target: number };
  /** Per column index: rows in which it differs, of the `examined` rows. */
  readonly columns: number[];
  /** Different rows whose cells were looked at. */
  examined: number;
  /** Per column index: differences that a tolerance hid. */
  readonly tolerated: number[];
}

export const newTally = (columns: number): Tally => ({
  identical: 0,
  different: 0,
  onlyInSource: 0,
  onlyInTarget: 0,
  duplicateKeys: 0,
  inFlight: 0,
  outsideFilter: 0,
  nullKeys: 0,
  unkeyed: 0,
  quarantined: 0,
  invalid: [],
  apart: { source: 0, target: 0 },
  columns: new Array<number>(columns).fill(0),
  examined: 0,
  tolerated: new Array<number>(columns).fill(0),
});

export const rowsOf = (tally: Tally): { readonly source: number; readonly target: number } => ({
  source: tally.identical + tally.different + tally.onlyInSource + tally.apart.source,
  target: tally.identical + tally.different + tally.onlyInTarget + tally.apart.target,
});
