import type { ConfigDocument } from './places.ts';
import { readSection } from './read-section.ts';
import { defaultEndpoint, implicitEndpoint, type RecordEntity, recordOf } from './records.ts';
import type { Surroundings } from './references.ts';
import type { ConfigFile } from './schema.ts';
import { configError } from './validate.ts';

type FileEndpoints = NonNullable<ConfigFile['endpoints']>;

/** The endpoints as written, and the one that records have without one being written. */
export const endpointsOf = (file: ConfigFile, document: ConfigDocument): FileEndpoints => {
  if (file.endpoints === undefined && file.records === undefined) {
    throw configError(document, [], '`endpoints` is missing: expected endpoints by name', {
      hint: 'Write `endpoints: { billing: { url: "${env:BILLING_URL}" } }`; with `records` alone the environment’s DATABASE_URL is enough.',
    });
  }
  const endpoints = file.endpoints ?? {};
  const implicit = implicitEndpoint(file.records, Object.keys(endpoints));
  return implicit === undefined ? endpoints : { [defaultEndpoint]: implicit, ...endpoints };
};

/** The entities of the API's records, by name. */
export const recordsOf = (
  file: ConfigFile,
  document: ConfigDocument,
  endpoints: readonly string[],
  around: Surroundings,
): Readonly<Record<string, RecordEntity>> =>
  Object.fromEntries(
    Object.entries(file.records ?? {}).map(([name, written]) => {
      const path = ['records', name];
      return [
        name,
        recordOf(
          name,
          written,
          endpoints,
          document.place(path, 'key')?.line,
          file.cache !== undefined,
          (text) => readSection('records', document, around).duration(text, [name, 'cache']),
          (key, what, o = {}) => configError(document, [...path, key], what, o),
        ),
      ];
    }),
  );
