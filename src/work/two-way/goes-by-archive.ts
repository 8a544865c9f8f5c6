import type { Plan } from '../../model/plans.ts';

/** Was it made by what both sides had agreed on? Then `applyTwoWay` applies it, or nobody. */
export const goesByArchive = ({ header }: Plan): boolean => header.archive === true || header.mode === 'two_way';
