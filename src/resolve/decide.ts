import type { ChangeOp, Difference } from '../model/change.ts';

/** One-way modes that write. */
export const writingModes = ['mirror', 'upsert', 'insert_only', 'update_only'] as const;
export type WritingMode = (typeof writingModes)[number];

export type Decision =
  /** Make the target's row agree by this write. */
  | { readonly kind: 'write'; readonly op: ChangeOp }
  /** The mode leaves this write out: reported, not planned. */
  | { readonly kind: 'withheld'; readonly op: ChangeOp };

/** Pure. Undefined: not for this resolver to say. */
export type Resolver = (difference: Difference) => Decision | undefined;

/** The first resolver that has an answer. */
export const firstOf =
  (...resolvers: readonly Resolver[]): Resolver =>
  (difference) => {
    for (const resolver of resolvers) {
      const decision = resolver(difference);
      if (decision !== undefined) return decision;
    }
    return undefined;
  };

/** The write that makes the target agree with the source. */
export const opOf = (difference: Pick<Difference, 'kind'>): ChangeOp => {
  switch (difference.kind) {
    case 'only_in_source':
      return 'insert';
    case 'different':
      return 'update';
    case 'only_in_target':
      return 'delete';
  }
};

const writes: Readonly<Record<WritingMode, readonly ChangeOp[]>> = {
  mirror: ['insert', 'update', 'delete'],
  upsert: ['insert', 'update'],
  insert_only: ['insert'],
  update_only: ['update'],
};

/** What a mode does with each difference. */
export const byMode = (mode: WritingMode): Resolver => {
  const allowed = writes[mode];
  return (difference) => {
    const op = opOf(difference);
    return { kind: allowed.includes(op) ? 'write' : 'withheld', op };
  };
};
