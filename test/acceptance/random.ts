/** Random numbers that come again with their seed: mulberry32. */
export interface Random {
  readonly seed: number;
  /** 0 <= n < below. */
  int(below: number): number;
  pick<T>(from: readonly T[]): T;
  chance(share: number): boolean;
}

/** Seeded by LOCKSTEP_TEST_SEED, else by the clock; the test prints the seed, so that a failure can be repeated. */
export const random = (seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 2 ** 31)): Random => {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number): number => Math.floor(next() * below);
  return { seed, int, pick: (from) => from[int(from.length)]!, chance: (share) => next() < share };
};
