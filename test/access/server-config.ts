import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';

/** The configuration that this text makes, with two endpoints that nobody opens. */
export const serverConfig = async (text: string): Promise<Config> => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-config-'));
  after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'lockstep.yaml');
  writeFileSync(file, `version: 1\nendpoints: { a: { url: "sqlite:a.db" }, b: { url: "sqlite:b.db" } }\n${text}\n`);
  return loadConfig(file, { cwd: dir, env: {} });
};
