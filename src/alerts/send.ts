import type { Channel } from '../config/alerts.ts';
import { type GuardedReply, guardedRequest, RefusedAddress } from '../lib/net/guarded-request.ts';
import type { Delivery } from '../model/alerts.ts';
import type { Cancel } from '../model/cancel.ts';
import { headline, plainMessage, slackMessage } from './message.ts';
import { webhookHeaders } from './webhook.ts';

/** Could not be sent; `again`: it may be another time. The message holds no secret and no address with one. */
export class NotSent extends Error {
  readonly again: boolean;
  constructor(message: string, again: boolean) {
    super(message);
    this.name = 'NotSent';
    this.again = again;
  }
}

const timeoutMs = 15_000;

const post = async (
  channel: Extract<Channel, { kind: 'webhook' | 'slack' }>,
  headers: Readonly<Record<string, string>>,
  body: string,
  o: Cancel,
): Promise<void> => {
  let reply: GuardedReply;
  let url: URL;
  try {
    url = new URL(channel.url());
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_INVALID_URL') throw error;
    throw new NotSent(`the address of channel ${channel.name} is no URL`, true);
  }
  try {
    reply = await guardedRequest({
      url,
      method: 'POST',
      headers: { ...headers, 'user-agent': 'lockstep' },
      body,
      allowPrivate: channel.allowPrivate,
      timeoutMs,
      maxBytes: 65_536,
      signal: o.signal,
    });
  } catch (error) {
    o.signal.throwIfAborted();
    const hint = error instanceof RefusedAddress ? '; allow_private of the channel would let it' : '';
    throw new NotSent(`${channel.name}: ${error instanceof Error ? error.message : String(error)}${hint}`, true);
  }
  if (reply.status >= 200 && reply.status < 300) return;
  // 410: nobody is there any more, and says so.
  throw new NotSent(`${channel.name}: ${url.host} answered ${reply.status}`, reply.status !== 410);
};

const mail = async (channel: Extract<Channel, { kind: 'email' }>, delivery: Delivery, o: Cancel): Promise<void> => {
  const { createTransport } = await import('nodemailer');
  const { host, port, tls, login } = channel.smtp();
  const transport = createTransport({
    host,
    port,
    secure: tls === 'always',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    ...(login === undefined ? {} : { auth: { user: login.user, pass: login.password } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const stop = (): void => transport.close();
  o.signal.addEventListener('abort', stop, { once: true });
  try {
    await transport.sendMail({
      from: channel.from,
      to: [...channel.to],
      subject: headline(delivery.body),
      text: plainMessage(delivery.body),
      // The same each time it is tried, so that whoever gets it twice can tell.
      messageId: `<${delivery.id}@lockstep>`,
      headers: { 'X-Lockstep-Message': delivery.id },
    });
  } catch (error) {
    o.signal.throwIfAborted();
    throw new NotSent(`${channel.name}: ${error instanceof Error ? error.message : String(error)}`, true);
  } finally {
    o.signal.removeEventListener('abort', stop);
    transport.close();
  }
};

/** Sends one message; rejects with NotSent, SECRET_MISSING or the signal's reason. */
export const send = async (channel: Channel, delivery: Delivery, now: number, o: Cancel): Promise<void> => {
  if (channel.kind === 'email') return mail(channel, delivery, o);
  const body = JSON.stringify(channel.kind === 'slack' ? slackMessage(delivery.body) : delivery.body);
  const headers =
    channel.kind === 'slack'
      ? { 'content-type': 'application/json' }
      : webhookHeaders(channel.secret(), { id: delivery.id, body }, now);
  return post(channel, headers, body, o);
};
