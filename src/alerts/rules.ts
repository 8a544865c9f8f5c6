import type { AlertRules } from '../config/alerts.ts';
import type { Condition } from '../model/alerts.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import { drift, errorBudget, unverified } from './rules-agreement.ts';
import { backupFailed, backupStale, conflictSpike, slowRun, syncFailed } from './rules-runs.ts';
import { approvalWaiting, breakerOpen, conflictsWaiting, endpointLatency, queueBacklog } from './rules-service.ts';

type Rule<N extends keyof AlertRules> = (facts: Facts, settings: NonNullable<AlertRules[N]>) => readonly Finding[];

const all: { readonly [N in keyof Required<AlertRules>]: Rule<N> } = {
  sync_failed: syncFailed,
  slow_run: slowRun,
  endpoint_latency: endpointLatency,
  drift,
  unverified,
  error_budget: errorBudget,
  queue_backlog: queueBacklog,
  conflict_spike: conflictSpike,
  conflicts_waiting: conflictsWaiting,
  breaker_open: breakerOpen,
  approval_waiting: approvalWaiting,
  backup_failed: backupFailed,
  backup_stale: backupStale,
};

/** Everything that is wrong now, by the rules that are on. At most one condition per rule and subject. */
export const conditionsOf = (facts: Facts, rules: AlertRules): readonly Condition[] =>
  (Object.keys(all) as (keyof AlertRules)[]).flatMap((name) => {
    const settings = rules[name];
    if (settings === undefined) return [];
    const found = (all[name] as Rule<typeof name>)(facts, settings as never);
    return found
      .filter(({ sync, subject }) => {
        const name = sync ?? (subject.startsWith('endpoints/') ? subject.slice('endpoints/'.length) : undefined);
        return settings.only === undefined || name === undefined || settings.only.includes(name);
      })
      .map(
        (f): Condition => ({
          ...f,
          rule: name,
          severity: settings.severity,
          forMs: Math.max(settings.forMs, f.forMs ?? 0),
          send: settings.send ?? null,
        }),
      );
  });
