import type { ConfigFile } from './schema.ts';

/** Types a `lockstep.config.ts`: `export default defineConfig({ version: 1, … })`. The same object as lockstep.yaml. */
export const defineConfig = (config: ConfigFile): ConfigFile => config;
