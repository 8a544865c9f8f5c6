/** What a sync may do to its target. `two_way` and `migrate` are accepted and have no effect in this version. */
export const modes = ['compare', 'mirror', 'upsert', 'insert_only', 'update_only', 'two_way', 'migrate'] as const;
export type Mode = (typeof modes)[number];
