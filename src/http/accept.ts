/** Media types in the order a client wants them, without those it refuses. */
const wanted = (header: string): readonly string[] =>
  header
    .split(',')
    .map((part, i) => {
      const [type = '', ...parameters] = part.split(';').map((s) => s.trim().toLowerCase());
      const q = parameters.find((p) => p.startsWith('q='))?.slice(2);
      const weight = q === undefined ? 1 : Number(q);
      return { type, weight: Number.isFinite(weight) ? weight : 0, i };
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight || a.i - b.i)
    .map(({ type }) => type);

const covers = (range: string, type: string): boolean =>
  range === '*/*' || range === type || (range.endsWith('/*') && type.startsWith(range.slice(0, -1)));

/** The form of `offered` (best first) that `Accept` wants most; undefined: it takes none of them. */
export const accepted = <T extends string>(header: string | undefined, offered: readonly T[]): T | undefined => {
  if (header === undefined || header.trim() === '') return offered[0];
  for (const range of wanted(header)) {
    const found = offered.find((type) => covers(range, type));
    if (found !== undefined) return found;
  }
  return undefined;
};
