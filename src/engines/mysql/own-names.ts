/** Our own tables, in the endpoint's database: never shown, never compared. */
export const stepsTable = 'lockstep_steps';
export const locksTable = 'lockstep_locks';
