import type { AlertRules } from '../config/alerts.ts';
import { differingShare } from '../model/differing-share.ts';
import type { PairState } from '../model/monitoring.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import { durationText, shareText, timeText } from './words.ts';

const driftOf = (p: PairState): number => {
  const found = p.found.different + p.found.only_in_source + p.found.only_in_target;
  return differingShare(p, found);
};

/** What did not agree when it was compared last, whether or not that run repaired it. */
export const drift = ({ pairs }: Facts, rule: NonNullable<AlertRules['drift']>): readonly Finding[] =>
  pairs.flatMap((p): Finding[] => {
    const share = driftOf(p);
    if (share <= rule.above) return [];
    const { only_in_source: source, only_in_target: target, different } = p.found;
    return [
      {
        subject: `syncs/${p.sync}/${p.pair}`,
        sync: p.sync,
        since: p.at,
        summary: `${p.sync}: ${shareText(share)} of the rows of ${p.pair} differed; at most ${shareText(rule.above)} is allowed.`,
        detail: `Run ${p.run} (${timeText(p.at)}) found ${different} different, ${source} only in the source and ${target} only in the target. After it at most ${p.left} were left.`,
        command: `lockstep show ${p.run}`,
        value: share,
      },
    ];
  });

/** The dead man's switch: nothing says any more that the pair agrees. */
export const unverified = (facts: Facts, rule: NonNullable<AlertRules['unverified']>): readonly Finding[] => {
  const limitOf = (sync: string): number | undefined =>
    facts.syncs.find((s) => s.name === sync)?.slo?.verifiedWithinMs ?? rule.afterMs ?? facts.rhythms.get(sync);
  const known = facts.pairs.flatMap((p): Finding[] => {
    const limit = limitOf(p.sync);
    if (limit === undefined) return [];
    const last = p.verifiedAt ?? p.firstAt;
    const age = facts.now - last;
    if (age <= limit) return [];
    return [
      {
        subject: `syncs/${p.sync}/${p.pair}`,
        sync: p.sync,
        since: last + limit,
        summary:
          p.verifiedAt === null
            ? `${p.sync}: ${p.pair} has never been proved to agree.`
            : `${p.sync}: ${p.pair} was proved to agree ${durationText(age)} ago; at most ${durationText(limit)} is allowed.`,
        detail: `It was compared last by run ${p.run} at ${timeText(p.at)}: ${p.complete ? `${p.left} rows were left different` : 'not everything was compared'}.`,
        command: `lockstep diff ${p.sync}`,
        value: age / 1000,
      },
    ];
  });
  // Promised, and never compared: from the moment on that this is seen.
  const never = facts.syncs.flatMap((s): Finding[] =>
    s.slo === undefined || facts.pairs.some((p) => p.sync === s.name)
      ? []
      : [
          {
            subject: `syncs/${s.name}`,
            sync: s.name,
            forMs: s.slo.verifiedWithinMs,
            summary: `${s.name} has never been compared.`,
            detail: `Its service level asks for a proof every ${durationText(s.slo.verifiedWithinMs)}.`,
            command: `lockstep diff ${s.name}`,
            value: null,
          },
        ],
  );
  return [...known, ...never];
};

export const errorBudget = ({ levels }: Facts, rule: NonNullable<AlertRules['error_budget']>): readonly Finding[] =>
  levels.flatMap((l): Finding[] =>
    l.budgetLeft >= rule.left
      ? []
      : [
          {
            subject: `syncs/${l.sync}/${l.pair}`,
            sync: l.sync,
            summary:
              l.budgetLeft <= 0
                ? `${l.sync}: the error budget of ${l.pair} is used up.`
                : `${l.sync}: ${shareText(l.budgetLeft)} of the error budget of ${l.pair} is left.`,
            detail: `It was proved to agree ${shareText(l.agreement)} of the time; ${shareText(l.target)} is promised.`,
            command: `lockstep runs ${l.sync}`,
            value: l.budgetLeft,
          },
        ],
  );
