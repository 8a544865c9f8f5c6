import type { Command } from '../context.ts';

export const version: Command = async (context, _args, flags) => {
  const facts = {
    lockstep: context.version,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
  };
  await context.out.write(flags.json ? `${JSON.stringify(facts)}\n` : `lockstep ${context.version}\n`);
  return 0;
};
