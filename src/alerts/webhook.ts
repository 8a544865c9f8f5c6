import { createHmac } from 'node:crypto';

/** The key of a secret: `whsec_` and base64, as Standard Webhooks writes it, or any text. */
const keyOf = (secret: string): Buffer =>
  secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret);

/**
 * Headers of a signed webhook (standardwebhooks.com): the signature covers id, time and body, so that nobody else's, a
 * changed one, or an old one that is sent again is taken for ours. The id stays the same when a message is sent again.
 */
export const webhookHeaders = (
  secret: string,
  message: { readonly id: string; readonly body: string },
  now: number,
): Readonly<Record<string, string>> => {
  const at = String(Math.floor(now / 1000));
  const signature = createHmac('sha256', keyOf(secret)).update(`${message.id}.${at}.${message.body}`).digest('base64');
  return {
    'content-type': 'application/json',
    'webhook-id': message.id,
    'webhook-timestamp': at,
    'webhook-signature': `v1,${signature}`,
  };
};
