const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** `2 h 5 min`, `40 s`, `350 ms`: the two greatest units. */
export const durationText = (ms: number): string => {
  const at = units.findIndex(([, size]) => ms >= size);
  if (at < 0) return `${Math.round(ms)} ms`;
  const [unit, size] = units[at]!;
  const whole = Math.floor(ms / size);
  const next = units[at + 1];
  const rest = next === undefined ? 0 : Math.floor((ms - whole * size) / next[1]);
  if (next === undefined && ms < 10_000) return `${Math.round(ms / 100) / 10} s`;
  return rest > 0 ? `${whole} ${unit} ${rest} ${next![0]}` : `${whole} ${unit}`;
};

/** `0.25 %` */
export const shareText = (share: number): string => {
  const percent = share * 100;
  const digits = percent === 0 || percent >= 10 ? 1 : percent >= 1 ? 2 : 4;
  return `${Number(percent.toFixed(digits))} %`;
};

export const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length === 0
    ? 0
    : sorted.length % 2 === 1
      ? sorted[middle]!
      : (sorted[middle - 1]! + sorted[middle]!) / 2;
};
