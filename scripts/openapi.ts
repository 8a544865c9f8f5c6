import type { Api } from '../src/http/api.ts';
import { buildApp } from '../src/http/app.ts';
import { allRoutes } from '../src/http/routes.ts';
import { systemClock } from '../src/lib/clock.ts';
import { redactor } from '../src/lib/redact.ts';

/** The API's own description, without entities of a configuration: docs/reference/openapi.json. */
export const openapiText = async (version: string): Promise<string> => {
  const nothing = { endpoints: {}, syncs: {}, records: {} };
  const never = new AbortController().signal;
  const api = { version, clock: systemClock, redactor: redactor(), signal: never, config: () => nothing };
  const { app } = await buildApp(api as unknown as Api, { access: () => {}, routes: allRoutes });
  try {
    const { payload } = await app.inject({ url: '/openapi.json' });
    return `${JSON.stringify(JSON.parse(payload), undefined, 2)}\n`;
  } finally {
    await app.close();
  }
};
