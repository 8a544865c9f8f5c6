import type { Alert, Silence } from '../../model/alerts.ts';
import type { Out } from '../io.ts';
import { inert } from '../report-error.ts';
import { styleOf } from '../style.ts';
import { utc, utcOrNull } from './text.ts';

export const alertJson = (a: Alert): Record<string, unknown> => ({
  id: a.id,
  rule: a.rule,
  state: a.state,
  severity: a.severity,
  subject: a.subject,
  sync: a.sync,
  summary: a.summary,
  detail: a.detail,
  command: a.command,
  since: utc(a.since),
  fired: utcOrNull(a.fired),
  resolved: utcOrNull(a.resolved),
  notified: utcOrNull(a.notified),
  acknowledged: a.acked && { by: a.acked.by, at: utc(a.acked.at), note: a.acked.note },
});

export const silenceJson = (s: Silence): Record<string, unknown> => ({
  id: s.id,
  rule: s.rule,
  sync: s.sync,
  subject: s.subject,
  until: utc(s.until),
  reason: s.reason,
  by: s.by,
});

const scopeText = (s: Silence): string =>
  [s.rule, s.sync === null ? null : `sync ${s.sync}`, s.subject].filter((t) => t !== null).join(', ') || 'everything';

/** One alert in a few lines: what, since when, what to run; silences after them. */
export const alertsTable = async (
  out: Out,
  alerts: readonly Alert[],
  silences: readonly Silence[],
  text: (text: string) => string,
): Promise<void> => {
  const style = styleOf(out.color);
  if (alerts.length === 0) await out.write('  no alert is pending or firing\n');
  for (const a of alerts) {
    const state = `${a.state === 'firing' ? a.severity : a.state}`.toUpperCase();
    const who = a.acked === null ? '' : `, acknowledged by ${inert(a.acked.by)}`;
    await out.write(
      `  ${a.state === 'resolved' ? state : style.bold(state)}  ${inert(text(a.summary))}\n    ${inert(text(a.detail))}\n    ${a.id}, ${a.rule}, since ${utc(a.since)}${a.resolved === null ? '' : `, resolved ${utc(a.resolved)}`}${who}\n${a.state === 'resolved' ? '' : `    ${inert(a.command)}\n`}`,
    );
  }
  for (const s of silences)
    await out.write(
      `  silenced until ${utc(s.until)}: ${inert(scopeText(s))} (${inert(s.reason)}, by ${inert(s.by)}; ${s.id})\n`,
    );
};
