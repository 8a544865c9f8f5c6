import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../src/config/load.ts';
import type { Api } from '../src/http/api.ts';
import { buildApp } from '../src/http/app.ts';
import { allRoutes } from '../src/http/routes.ts';
import { systemClock } from '../src/lib/clock.ts';
import { redactor } from '../src/lib/redact.ts';

/** Stands for everything that routes take in hand when they are added, and use only when they are asked. */
const unused: unknown = new Proxy(() => {}, { get: () => unused, apply: () => unused });

/** A configuration without anything that the document would show. */
const emptyConfig = async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-openapi-'));
  try {
    const file = join(dir, 'lockstep.yaml');
    writeFileSync(file, 'version: 1\nendpoints: { none: { url: "sqlite:none.db" } }\n');
    return await loadConfig(file, { cwd: dir, env: {} });
  } finally {
    rmSync(dir, { recursive: true });
  }
};

/** The API's own description, without entities of a configuration: docs/reference/openapi.json. */
export const openapiText = async (version: string): Promise<string> => {
  const config = await emptyConfig();
  const never = new AbortController().signal;
  const known: Partial<Record<PropertyKey, unknown>> = {
    ...{ version, clock: systemClock, redactor: redactor(), signal: never, config: () => config },
  };
  const api = new Proxy({}, { get: (_, name) => (name in known ? known[name] : unused) });
  const { app } = await buildApp(api as Api, { access: () => {}, routes: allRoutes });
  try {
    const { payload } = await app.inject({ url: '/openapi.json' });
    return `${JSON.stringify(JSON.parse(payload), undefined, 2)}\n`;
  } finally {
    await app.close();
  }
};
