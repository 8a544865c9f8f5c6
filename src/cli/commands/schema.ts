import type { Command } from '../context.ts';

export const schema: Command = async (context) => {
  const { configJsonSchemaText } = await import('../../config/json-schema.ts');
  await context.out.write(configJsonSchemaText());
  return 0;
};
