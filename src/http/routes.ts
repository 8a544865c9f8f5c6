import type { Routes } from './api.ts';
import { version } from './routes/version.ts';

/** Every resource of the API, in the order of the documentation. */
export const allRoutes: readonly Routes[] = [version];
