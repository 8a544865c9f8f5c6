/** Edits (insert, delete, replace, exchange of neighbours) that turn `a` into `b`: Damerau-Levenshtein, restricted. */
export const editDistance = (a: string, b: string): number => {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
};

/** The one of `candidates` that a typist most likely meant by `word`; undefined when none is near. */
export const closest = (word: string, candidates: readonly string[]): string | undefined => {
  const plain = (s: string): string => s.toLowerCase().replaceAll(/[-_ ]/g, '');
  const wanted = plain(word);
  let best: string | undefined;
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const text = plain(candidate);
    const distance = text === wanted ? 0 : Math.max(editDistance(wanted, text), 0.5);
    const near = wanted.length >= 3 && text.startsWith(wanted) ? Math.min(distance, 1) : distance;
    if (near < least) {
      least = near;
      best = candidate;
    }
  }
  return best;
};
