/** What a sync may do to its target. `migrate`: copies what is missing, then catches up as `upsert`. */
export const modes = ['compare', 'mirror', 'upsert', 'insert_only', 'update_only', 'two_way', 'migrate'] as const;
export type Mode = (typeof modes)[number];
