/** Where spans are sent. */
export interface TraceSettings {
  /** The whole address, e.g. `http://collector:4318/v1/traces`. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly allowPrivate: boolean;
  /** Share of the traces that begin here, 0..1; others are kept or not as whoever began them says. */
  readonly sample: number;
  readonly service: string;
}
