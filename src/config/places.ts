/** Where a value stands in its file; both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
  /** Characters to underline. */
  readonly length: number;
}

/** A parsed config file that can say where each value stands. */
export interface ConfigDocument {
  /** As messages name it. */
  readonly file: string;
  readonly value: unknown;
  /** Of the value at `path`, or of its nearest parent that exists; `key` points at the key instead of the value. */
  place(path: readonly PropertyKey[], of?: 'key' | 'value'): Place | undefined;
  /** The line with its number and a caret line under it; secrets that stand in the line are masked. */
  frame(place: Place, note?: string): readonly string[];
}

/** A config that was not written in YAML: places are not known. */
export const plainDocument = (file: string, value: unknown): ConfigDocument => ({
  file,
  value,
  place: () => undefined,
  frame: () => [],
});
