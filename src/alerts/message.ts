import type { DeliveryBody } from '../model/alerts.ts';

type Told = DeliveryBody['alerts'][number];

/** Control characters and direction marks are nothing that a message needs. */
const plain = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/g, ' ');

const word = (a: Told): string => (a.state === 'resolved' ? 'RESOLVED' : a.severity.toUpperCase());

/** One line for a subject or a notification. */
export const headline = (body: DeliveryBody): string => {
  if (body.type === 'test') return '[Lockstep] a test message';
  const [first, ...rest] = body.alerts;
  const more = rest.length > 0 ? ` (and ${rest.length} more)` : '';
  return plain(`[Lockstep] ${word(first!)} ${first!.summary}${more}`).slice(0, 200);
};

/** The whole message for people: what, where, since when, what to run. */
export const plainMessage = (body: DeliveryBody): string => {
  if (body.type === 'test') return 'This is a test message of Lockstep: alerts would arrive here.\n';
  return body.alerts
    .map((a) =>
      [
        `${word(a)}  ${plain(a.summary)}`,
        `  ${plain(a.detail)}`,
        `  rule ${a.rule}, ${plain(a.subject)}, since ${a.since}${a.resolved === undefined ? '' : `, resolved ${a.resolved}`}`,
        ...(a.state === 'resolved' ? [] : [`  to see more: ${plain(a.command)}`]),
        '',
      ].join('\n'),
    )
    .join('\n');
};

/** In Slack's text, three characters are its own; a code span ends at a backtick. */
const slackText = (text: string): string =>
  plain(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const slackCode = (text: string): string => `\`${slackText(text).replaceAll('`', "'")}\``;

/** What an incoming webhook of Slack takes. */
export const slackMessage = (body: DeliveryBody): unknown => {
  const sections =
    body.type === 'test'
      ? [slackText(plainMessage(body))]
      : body.alerts
          .slice(0, 40)
          .map((a) =>
            [
              `${a.state === 'resolved' ? ':white_check_mark:' : a.severity === 'critical' ? ':rotating_light:' : ':warning:'} *${word(a)}* ${slackText(a.summary)}`,
              slackText(a.detail),
              `since ${a.since}${a.resolved === undefined ? `, to see more: ${slackCode(a.command)}` : `, resolved ${a.resolved}`}`,
            ].join('\n'),
          );
  return {
    text: slackText(headline(body)),
    // Emphasis is ours alone: what stands between asterisks in a name does no harm, and links are made by < > only.
    blocks: sections.map((text) => ({
      type: 'section',
      text: { type: 'mrkdwn', text: text.slice(0, 2900), verbatim: true },
    })),
  };
};
