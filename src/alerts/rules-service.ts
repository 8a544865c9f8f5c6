import type { AlertRules } from '../config/alerts.ts';
import type { EndpointSample } from '../model/monitoring.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import { durationText, timeText } from './words.ts';

export const queueBacklog = (
  { queue, now }: Facts,
  rule: NonNullable<AlertRules['queue_backlog']>,
): readonly Finding[] => {
  const waited = queue.oldest === null ? 0 : now - queue.oldest;
  if (queue.queued < rule.waiting && waited < rule.olderMs) return [];
  const runs = queue.queued === 1 ? '1 run waits' : `${queue.queued} runs wait`;
  return [
    {
      subject: 'queue',
      sync: null,
      summary: `${runs} for a worker, the oldest for ${durationText(waited)}.`,
      detail: `${queue.running} are at work${queue.oldest === null ? '' : `; the oldest was asked for at ${timeText(queue.oldest)}`}. More workers: lockstep worker, also on other machines.`,
      command: 'lockstep runs',
      value: queue.queued,
    },
  ];
};

const worst = (facts: Facts): readonly EndpointSample[] => {
  const all = new Map<string, EndpointSample>();
  for (const sample of facts.endpoints) {
    const there = all.get(sample.endpoint);
    if (there === undefined || sample.p95 > there.p95) all.set(sample.endpoint, sample);
  }
  return [...all.values()];
};

/** Calls that must be known before they say anything. */
const fewest = 5;

export const endpointLatency = (facts: Facts, rule: NonNullable<AlertRules['endpoint_latency']>): readonly Finding[] =>
  worst(facts).flatMap((e): Finding[] =>
    e.count < fewest || e.p95 <= rule.aboveMs
      ? []
      : [
          {
            subject: `endpoints/${e.endpoint}`,
            sync: null,
            summary: `${e.endpoint} answers slowly: 95 of 100 calls take up to ${durationText(e.p95)}; at most ${durationText(rule.aboveMs)} is allowed.`,
            detail: `Of ${e.count} calls in the last minutes ${e.failed} failed.`,
            command: 'lockstep check',
            value: e.p95 / 1000,
          },
        ],
  );

export const approvalWaiting = ({ waits }: Facts): readonly Finding[] =>
  waits.map((w) => ({
    subject: `syncs/${w.sync}`,
    sync: w.sync,
    since: w.since,
    summary: `${w.sync}: a plan waits for ${w.required === 1 ? 'somebody' : `${w.required} people`} to agree to it.`,
    detail: `Plan ${w.plan} was made by run ${w.run}; nothing of it is written, and the schedule waits, until ${timeText(w.expires)}.`,
    command: `lockstep approve ${w.plan}`,
    value: null,
  }));

export const conflictsWaiting = (
  { conflicts, now }: Facts,
  rule: NonNullable<AlertRules['conflicts_waiting']>,
): readonly Finding[] =>
  conflicts.flatMap(({ sync, pending, oldest }): Finding[] => {
    const waited = now - oldest;
    if (waited < rule.olderMs && pending <= (rule.moreThan ?? Number.POSITIVE_INFINITY)) return [];
    return [
      {
        subject: `syncs/${sync}`,
        sync,
        since: oldest,
        summary: `${sync}: ${pending === 1 ? '1 conflict waits' : `${pending} conflicts wait`} for a person, the oldest for ${durationText(waited)}.`,
        detail: `It was found at ${timeText(oldest)}. Both sides keep what they show until it is decided; everything else goes on.`,
        command: `lockstep conflicts list ${sync}`,
        value: pending,
      },
    ];
  });

export const breakerOpen = (facts: Facts): readonly Finding[] => {
  const names = new Set(facts.endpoints.filter((e) => e.breaker !== 'closed').map((e) => e.endpoint));
  return [...names].map((endpoint): Finding => {
    const seen = facts.endpoints.filter((e) => e.endpoint === endpoint);
    const open = seen.filter((e) => e.breaker !== 'closed').length;
    return {
      subject: `endpoints/${endpoint}`,
      sync: null,
      summary: `${endpoint}: the circuit breaker is open; nothing is sent there.`,
      detail: `It failed too often in a row. ${open} of ${seen.length} processes see it so; each tries again by itself.`,
      command: 'lockstep check',
      value: open,
    };
  });
};
