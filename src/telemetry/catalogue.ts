/** Every metric of our own, with what it means: the reference page is made of it, and nothing else is exported. */
export interface MetricSpec {
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** `installation`: from the control store, so every process says the same. `process`: of the one that is asked. */
  readonly of: 'installation' | 'process';
}

const installation = (type: MetricSpec['type'], labels: readonly string[], help: string): MetricSpec => ({
  type,
  help,
  labels,
  of: 'installation',
});
const ofProcess = (type: MetricSpec['type'], labels: readonly string[], help: string): MetricSpec => ({
  type,
  help,
  labels,
  of: 'process',
});

export const catalogue = {
  lockstep_build_info: ofProcess('gauge', ['version'], 'Always 1; the version of this process.'),
  lockstep_store_up: ofProcess(
    'gauge',
    [],
    '1 when the control store answered. Without it no metric of the installation is given.',
  ),

  lockstep_sync_last_verified_timestamp_seconds: installation(
    'gauge',
    ['sync', 'pair'],
    'When the pair was last proved to agree: the beginning of that comparison. 0: never.',
  ),
  lockstep_sync_last_compared_timestamp_seconds: installation(
    'gauge',
    ['sync', 'pair'],
    'When the pair was last compared, whatever was found.',
  ),
  lockstep_differences: installation(
    'gauge',
    ['sync', 'pair', 'kind'],
    'Rows that differed when the pair was last compared, before anything was written.',
  ),
  lockstep_differences_left: installation(
    'gauge',
    ['sync', 'pair'],
    'Rows that still differ after the last run, at most.',
  ),
  lockstep_drift_ratio: installation(
    'gauge',
    ['sync', 'pair'],
    'Share of the rows that differed when last compared, 0 to 1.',
  ),
  lockstep_rows: installation('gauge', ['sync', 'pair', 'side'], 'Rows of each side when last compared.'),
  lockstep_coverage_ratio: installation(
    'gauge',
    ['sync'],
    'Share of the pairs of which everything was compared the last time, 0 to 1.',
  ),
  lockstep_quarantined_rows: installation('gauge', ['sync', 'pair'], 'Source rows that break the rules of their pair.'),
  lockstep_conflicts_open: installation('gauge', ['sync'], 'Conflicts that wait for a person.'),
  lockstep_conflicts_oldest_seconds: installation(
    'gauge',
    ['sync'],
    'How long the oldest conflict has waited for a person; 0: none waits.',
  ),

  lockstep_runs_total: installation(
    'counter',
    ['sync', 'kind', 'outcome'],
    'Runs that ended, by success, failure or cancelled.',
  ),
  lockstep_run_duration_seconds: installation('histogram', ['sync', 'kind', 'outcome'], 'How long runs took.'),
  lockstep_run_phase_seconds_total: installation(
    'counter',
    ['sync', 'phase'],
    'Time that runs spent in each phase: collect, detect, resolve, apply, record.',
  ),
  lockstep_run_errors_total: installation('counter', ['sync', 'code'], 'Runs that failed, by error code.'),
  lockstep_rows_compared_total: installation(
    'counter',
    ['sync'],
    'Rows that comparisons looked at, of the larger side.',
  ),
  lockstep_differences_found_total: installation('counter', ['sync'], 'Rows that comparisons found different.'),
  lockstep_changes_total: installation(
    'counter',
    ['sync', 'op', 'outcome'],
    'Changes by what became of them: applied (by insert, update, delete), skipped, failed.',
  ),
  lockstep_conflicts_total: installation('counter', ['sync'], 'Conflicts that runs met.'),
  lockstep_last_run_timestamp_seconds: installation(
    'gauge',
    ['sync', 'kind', 'outcome'],
    'When the last such run ended.',
  ),
  lockstep_last_run_duration_seconds: installation(
    'gauge',
    ['sync', 'kind'],
    'How long the last run that is done took.',
  ),
  lockstep_last_run_rows: installation('gauge', ['sync', 'kind'], 'Rows that it looked at.'),
  lockstep_last_run_rows_per_second: installation('gauge', ['sync', 'kind'], 'Its throughput.'),
  lockstep_run_success_ratio: installation(
    'gauge',
    ['sync'],
    'Share of the runs of the last 24 hours that are done, cancelled ones left out.',
  ),

  lockstep_queue_depth: installation(
    'gauge',
    ['state'],
    'Runs that wait for a worker (queued) or are at work (running).',
  ),
  lockstep_queue_oldest_age_seconds: installation('gauge', [], 'How long the oldest run has waited; 0: none waits.'),

  lockstep_endpoint_latency_p95_seconds: installation(
    'gauge',
    ['endpoint'],
    'What 95 of 100 calls to the endpoint took less than, in the last minutes, of the worst process.',
  ),
  lockstep_circuit_state: installation(
    'gauge',
    ['endpoint', 'state'],
    '1 for the state of the endpoint’s circuit breaker, 0 for the others; the worst of all processes.',
  ),

  lockstep_slo_agreement_ratio: installation(
    'gauge',
    ['sync', 'pair'],
    'Share of the window in which the pair was proved to agree.',
  ),
  lockstep_slo_target_ratio: installation('gauge', ['sync'], 'What is promised of it.'),
  lockstep_slo_verified_within_seconds: installation('gauge', ['sync'], 'How old the last proof may be.'),
  lockstep_slo_error_budget_remaining_ratio: installation(
    'gauge',
    ['sync', 'pair'],
    'Share of the allowed time without proof that is left; below 0: more was used.',
  ),

  lockstep_business_last: installation('gauge', ['metric', 'sync'], 'A business metric, of the last run that had one.'),
  lockstep_business_sum: installation(
    'gauge',
    ['metric', 'sync'],
    'A business metric, summed over all runs that are known. May fall.',
  ),
  lockstep_business_runs: installation('gauge', ['metric', 'sync'], 'Runs that it is summed over.'),

  lockstep_alerts: installation('gauge', ['rule', 'state'], 'Alerts that are pending or firing.'),
  lockstep_alert_deliveries: installation(
    'gauge',
    ['channel', 'state'],
    'Messages to channels that are waiting, sent or failed (given up).',
  ),

  lockstep_http_request_duration_seconds: ofProcess(
    'histogram',
    ['method', 'route', 'status'],
    'How long requests took.',
  ),
  lockstep_cache_requests_total: ofProcess(
    'counter',
    ['outcome'],
    'Questions to records whose answers are kept: hit (memory), shared (Redis), miss, bypass (a write is under way, or nobody can say).',
  ),
  lockstep_cache_entries: ofProcess('gauge', [], 'Answers of records that memory keeps.'),
  lockstep_cache_bytes: ofProcess('gauge', [], 'Memory that they take, about.'),
  lockstep_cache_redis_up: ofProcess('gauge', [], '1 when the Redis of the cache answered last.'),
  lockstep_cache_redis_failures_total: ofProcess('counter', [], 'Times that it did not, or not in time.'),
  lockstep_endpoint_call_duration_seconds: ofProcess(
    'histogram',
    ['endpoint', 'call', 'outcome'],
    'How long calls to endpoints took.',
  ),
} as const satisfies Readonly<Record<`lockstep_${string}`, MetricSpec>>;

export type MetricName = keyof typeof catalogue;
