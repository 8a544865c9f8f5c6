import { z } from 'zod';

export const Time = z.iso.datetime({ precision: 3 }).meta({ examples: ['2026-11-21T12:00:00.000Z'] });

export const timeOf = (ms: number): string => new Date(ms).toISOString();
export const timeOrNull = (ms: number | null | undefined): string | null => (ms == null ? null : timeOf(ms));
