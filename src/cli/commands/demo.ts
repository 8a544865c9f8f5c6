import type { Command } from '../context.ts';

/** The demonstration itself is loaded by `main.ts`. */
export const demo: Command = (context, args, flags) => context.demo(args, { ...flags });
