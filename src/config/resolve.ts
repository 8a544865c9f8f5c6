import { backupsOf } from './backups.ts';
import { cacheOf } from './cache.ts';
import type { Config } from './config.ts';
import { endpointOf } from './endpoint-of.ts';
import { alertsOf, logOf, measuresOf } from './monitoring.ts';
import type { ConfigDocument } from './places.ts';
import { readSection } from './read-section.ts';
import { lineOf, type Reading } from './read-value.ts';
import { endpointsOf, recordsOf } from './records-of.ts';
import { resolveReferences, type Surroundings } from './references.ts';
import { inlineSecrets } from './remarks.ts';
import { retentionOf } from './retention.ts';
import type { ConfigFile } from './schema.ts';
import { auditKeysOf, checkpointEvery, serverOf } from './server.ts';
import { storedOf } from './stored.ts';
import { syncOf } from './sync-of.ts';
import { tracesOf } from './telemetry.ts';
import { checkBothWritable } from './two-way.ts';

/** Fills in defaults, checks what a schema cannot, and leaves secrets to be looked up when they are used. */
export const resolveConfig = (
  file: ConfigFile,
  document: ConfigDocument,
  dir: string,
  around: Surroundings,
): Config => {
  const r: Reading = { document, around };
  const written = endpointsOf(file, document);
  const endpoints = Object.fromEntries(Object.entries(written).map(([name, e]) => [name, endpointOf(r, name, e)]));
  const names = Object.keys(endpoints);
  const syncs = Object.fromEntries(
    Object.entries(file.syncs ?? {}).map(([name, s]) => [name, syncOf(r, name, s, names, file.syncs ?? {})]),
  );
  checkBothWritable(document, syncs, endpoints);
  const spot = (path: readonly PropertyKey[]) => ({ path: path.map(String).join('.'), line: lineOf(r, path) });
  return {
    file: document.file,
    dir,
    endpoints,
    syncs,
    records: recordsOf(file, document, names, around),
    log: logOf(file.server?.log, dir),
    publicMetrics: () => {
      const written = file.server?.metrics?.public;
      return written === undefined
        ? false
        : readSection('server', document, around).flag(written, ['metrics', 'public']);
    },
    measures: measuresOf(r, file.metrics, Object.fromEntries(Object.values(syncs).map((s) => [s.name, s.pairs]))),
    alerts: alertsOf(r, file.alerts, [...Object.keys(syncs), ...names]),
    backups: backupsOf(file.backups, dir, names, readSection('backups', document, around), (v) => around.onSecret?.(v)),
    retention: () => retentionOf(file.retention, readSection('retention', document, around)),
    cache: () => cacheOf(file.cache, readSection('cache', document, around), (v) => around.onSecret?.(v)),
    traces: () => tracesOf(file.telemetry, readSection('telemetry', document, around), (v) => around.onSecret?.(v)),
    server: () => serverOf(file.server, readSection('server', document, around)),
    audit: () => auditKeysOf(file.audit, readSection('audit', document, around), (value) => around.onSecret?.(value)),
    stored: () => storedOf(file.stored, readSection('stored', document, around), (value) => around.onSecret?.(value)),
    checkpointEveryMs: () => checkpointEvery(file.audit, readSection('audit', document, around)),
    control: () =>
      file.control === undefined
        ? undefined
        : (resolveReferences(file.control, ['control'], document, around) as string),
    inlineSecrets: inlineSecrets(file).map(spot),
  };
};
