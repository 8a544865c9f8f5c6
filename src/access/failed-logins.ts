import { isIPv6 } from 'node:net';
import type { Clock } from '../lib/clock.ts';

const windowMs = 60_000;
const mostFailures = 10;
const mostAddresses = 10_000;

/** Failed logins per address in the last minute. An IPv6 address counts as its network of 64 bits, which one machine has. */
export interface FailedLogins {
  /** Milliseconds until this address may try again; 0: now. */
  wait(address: string): number;
  failed(address: string): void;
}

const network = (address: string): string => {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail = ''] = address.split('%')[0]!.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const zeros = address.includes('::') ? 8 - before.length - after.length : 0;
  return [...before, ...Array<string>(Math.max(0, zeros)).fill('0'), ...after]
    .slice(0, 4)
    .map((part) => Number.parseInt(part, 16).toString(16))
    .join(':');
};

export const failedLogins = (clock: Pick<Clock, 'elapsed'>): FailedLogins => {
  const seen = new Map<string, { count: number; readonly since: number }>();
  const current = (key: string) => {
    const entry = seen.get(key);
    return entry && clock.elapsed() - entry.since < windowMs ? entry : undefined;
  };
  return {
    wait: (address) => {
      const entry = current(network(address));
      return entry && entry.count >= mostFailures ? Math.max(1, entry.since + windowMs - clock.elapsed()) : 0;
    },
    failed: (address) => {
      const key = network(address);
      const entry = current(key);
      if (entry) entry.count++;
      else {
        seen.delete(key);
        if (seen.size >= mostAddresses) seen.delete(seen.keys().next().value!);
        seen.set(key, { count: 1, since: clock.elapsed() });
      }
    },
  };
};
