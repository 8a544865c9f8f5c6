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

/** Invalid rows that are named in a report. */
export const invalidShown = 5;

/** What became of the rows of both: of two ranges that share no key. */
export const addTallies = (a: Tally, b: Tally): Tally => ({
  identical: a.identical + b.identical,
  different: a.different + b.different,
  onlyInSource: a.onlyInSource + b.onlyInSource,
  onlyInTarget: a.onlyInTarget + b.onlyInTarget,
  duplicateKeys: a.duplicateKeys + b.duplicateKeys,
  inFlight: a.inFlight + b.inFlight,
  outsideFilter: a.outsideFilter + b.outsideFilter,
  nullKeys: a.nullKeys + b.nullKeys,
  unkeyed: a.unkeyed + b.unkeyed,
  quarantined: a.quarantined + b.quarantined,
  invalid: [...a.invalid, ...b.invalid].slice(0, invalidShown),
  apart: { source: a.apart.source + b.apart.source, target: a.apart.target + b.apart.target },
  columns: a.columns.map((n, i) => n + b.columns[i]!),
  examined: a.examined + b.examined,
  tolerated: a.tolerated.map((n, i) => n + b.tolerated[i]!),
});
