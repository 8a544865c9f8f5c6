import type { Routes } from './api.ts';
import { alerts } from './routes/alerts.ts';
import { audit } from './routes/audit.ts';
import { backups } from './routes/backups.ts';
import { changes } from './routes/changes.ts';
import { check } from './routes/check.ts';
import { conflicts } from './routes/conflicts.ts';
import { endpoints } from './routes/endpoints.ts';
import { events } from './routes/events.ts';
import { health } from './routes/health.ts';
import { history } from './routes/history.ts';
import { me } from './routes/me.ts';
import { metrics } from './routes/metrics.ts';
import { monitoringDatabase } from './routes/monitoring-database.ts';
import { performance } from './routes/performance.ts';
import { plans } from './routes/plans.ts';
import { quarantine } from './routes/quarantine.ts';
import { records } from './routes/records.ts';
import { runDifferences } from './routes/run-differences.ts';
import { runs } from './routes/runs.ts';
import { summary } from './routes/summary.ts';
import { syncDifferences } from './routes/sync-differences.ts';
import { syncs } from './routes/syncs.ts';
import { tokens } from './routes/tokens.ts';
import { version } from './routes/version.ts';

/** Every resource of the API, in the order of the documentation. */
export const allRoutes: readonly Routes[] = [
  syncs,
  syncDifferences,
  runs,
  runDifferences,
  plans,
  changes,
  history,
  conflicts,
  quarantine,
  endpoints,
  check,
  records,
  events,
  health,
  monitoringDatabase,
  performance,
  alerts,
  summary,
  metrics,
  backups,
  audit,
  tokens,
  me,
  version,
];
