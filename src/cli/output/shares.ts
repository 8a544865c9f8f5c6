/**
 * How many each one shows when `limit` is shared fairly: nobody more than it has, what one does not need goes to the
 * others, and what cannot be divided goes to the first ones. `Infinity` has any number.
 */
export const fairShares = (counts: readonly number[], limit: number): readonly number[] => {
  const shares = counts.map(() => 0);
  let left = limit;
  const bySize = [...counts.keys()].sort((a, b) => counts[a]! - counts[b]! || a - b);
  for (const [done, i] of bySize.entries()) {
    const others = bySize.length - done;
    const level = left / others;
    if (counts[i]! <= level) {
      shares[i] = counts[i]!;
      left -= counts[i]!;
      continue;
    }
    const rest = bySize.slice(done).sort((a, b) => a - b);
    for (const [n, j] of rest.entries()) shares[j] = Math.floor(level) + (n < left % others ? 1 : 0);
    break;
  }
  return shares;
};
